import { useDebouncedValue } from '@mantine/hooks'
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { ApiError, notThere } from '../api/client'
import type { Check, Flaw } from '../api/types'

export interface Checked {
  /** Belongs to the text as it is now; before, the last answer is shown and nothing is claimed. */
  current: boolean
  ok: boolean
  /** The server cannot check as one types; saving tells instead. */
  absent: boolean
  problems: Flaw[]
  found: Check | undefined
  error: unknown
}

/** Asks the server about a text once typing pauses. */
export function useCheck(kind: string, text: string, ask: (text: string) => Promise<Check>): Checked {
  const [settled] = useDebouncedValue(text, 350)
  const answer = useQuery({
    queryKey: ['check', kind, settled],
    queryFn: () => ask(settled),
    enabled: settled.trim() !== '',
    placeholderData: keepPreviousData,
    staleTime: 60_000,
    gcTime: 60_000,
    retry: false,
  })
  const absent = notThere(answer.error)
  const problems = answer.error instanceof ApiError && answer.error.problems.length > 0 ? answer.error.problems : (answer.data?.problems ?? [])
  return {
    current: settled === text && !answer.isFetching && !answer.isPlaceholderData && answer.data !== undefined,
    ok: answer.data?.ok === true && !answer.isPlaceholderData,
    absent,
    problems,
    found: answer.data,
    error: absent ? null : answer.error,
  }
}

/** The problems of a refused save, or of the last check. */
export function problemsOf(error: unknown, checked: Checked): Flaw[] {
  return error instanceof ApiError && error.problems.length > 0 ? error.problems : checked.problems
}
