/* The memory of one statement. SQLite counts and limits memory for the whole
** process only, and the agent's and the server's own databases share it. A
** statement runs on one thread from open to close, so a counter of the thread
** is the statement's, and a limit of the thread refuses memory to that
** statement and to nothing else.
**
** The allocator can be wrapped only before SQLite is first used, and the
** stores may be opened before any engine: so it is done when the program is
** loaded. Threads that run no statement pay one test. */
#include <string.h>

#include "engine.h"

static sqlite3_mem_methods base;
static int counted;

static __thread int on, refused;
static __thread int64_t used, most, limit;

static void add(void *p) {
  used += base.xSize(p);
  if (used > most) most = used;
}

static int room(int64_t n) {
  if (limit <= 0 || used + n <= limit) return 1;
  refused = 1;
  return 0;
}

static void *mem_malloc(int n) {
  if (!on) return base.xMalloc(n);
  if (!room(n)) return 0;
  void *p = base.xMalloc(n);
  if (p) add(p);
  return p;
}

static void mem_free(void *p) {
  if (on && p) used -= base.xSize(p);
  base.xFree(p);
}

static void *mem_realloc(void *p, int n) {
  if (!on || !p) return base.xRealloc(p, n);
  int old = base.xSize(p);
  if (!room((int64_t)n - old)) return 0;
  void *q = base.xRealloc(p, n);
  if (q) {
    used -= old;
    add(q);
  }
  return q;
}

static int mem_size(void *p) { return base.xSize(p); }
static int mem_roundup(int n) { return base.xRoundup(n); }
static int mem_init(void *p) { return base.xInit(p); }
static void mem_shutdown(void *p) { base.xShutdown(p); }

__attribute__((constructor)) static void edr_mem_install(void) {
  if (!sqlite3_config || sqlite3_config(SQLITE_CONFIG_GETMALLOC, &base) != SQLITE_OK || !base.xMalloc) return;
  sqlite3_mem_methods ours = {mem_malloc, mem_free, mem_realloc, mem_size, mem_roundup,
                              mem_init, mem_shutdown, base.pAppData};
  counted = sqlite3_config(SQLITE_CONFIG_MALLOC, &ours) == SQLITE_OK;
}

int edr_mem_counted(void) { return counted; }

int edr_mem_refused(void) { return refused; }

void edr_mem_begin(int64_t max) {
  on = 1;
  refused = 0;
  used = most = 0;
  limit = max;
}

void edr_mem_end(int64_t *peak, int *over) {
  *peak = most;
  *over = refused;
  on = refused = 0;
}
