/*
 * The one function of bcryptprimitives.dll that every Go program for Windows
 * loads, over what the wine of Debian 12 has: that wine lacks the library.
 * Only the tests use it; a Windows machine has its own.
 */
#include <windows.h>
#include <ntsecapi.h>

#define PART 0x40000000

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE data, SIZE_T size)
{
	while (size > 0) {
		ULONG part = size > PART ? PART : (ULONG)size;

		if (!RtlGenRandom(data, part))
			return FALSE;
		data += part;
		size -= part;
	}
	return TRUE;
}
