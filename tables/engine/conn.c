/* A connection of the engine's own: opened, limited, guarded, read. The module
** and the functions are registered on it alone, so that the other SQLite
** databases of the process never see them. */
#include <stdlib.h>
#include <string.h>

#include "engine.h"

int edr_version(void) { return sqlite3_libversion_number ? sqlite3_libversion_number() : 0; }

static int fail(edr_conn *c, const char *doing, int rc, char **err) {
  *err = sqlite3_mprintf("%s: %s", doing, c->db ? sqlite3_errmsg(c->db) : sqlite3_errstr(rc));
  return rc;
}

static int authorize(void *p, int code, const char *a, const char *b, const char *d, const char *e) {
  edr_conn *c = p;
  return edrAuthorize(c->handle, code, (char *)a, (char *)b, (char *)d, (char *)e);
}

/* Every so many instructions of SQLite's machine; most calls only look at a flag. */
static int progress(void *p) {
  edr_conn *c = p;
  if (__atomic_load_n(&c->stop, __ATOMIC_RELAXED)) return 1;
  /* An aggregate whose memory was refused would read on to its end. */
  if (edr_mem_refused()) return 1;
  if (++c->ticks & 7) return 0;
  return edrTick(c->handle);
}

/* limits lists sqlite3_limit's categories and what the engine sets them to. */
static const int limits[][2] = {
  {0, EDR_MAX_LENGTH}, /* bytes of a text, blob or row */
  {1, 1 << 20},   /* bytes of a statement */
  {3, 500},       /* depth of an expression */
  {4, 250},       /* terms of a compound select */
  {5, 1 << 20},   /* instructions of a prepared statement */
  {7, 0},         /* attached databases */
  {8, 2000},      /* bytes of a LIKE or GLOB pattern, whose cost grows with its square */
  {10, 0},        /* depth of triggers */
  {11, 0},        /* worker threads */
  {12, 1000},     /* depth of the parser's stack */
};

int edr_open(edr_conn *c, char **err) {
  int rc = sqlite3_open_v2(":memory:", &c->db,
      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_MEMORY | SQLITE_OPEN_NOMUTEX, 0);
  if (rc != SQLITE_OK) return fail(c, "open a connection in memory", rc, err);
  sqlite3_extended_result_codes(c->db, 1);
  for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) sqlite3_limit(c->db, limits[i][0], limits[i][1]);
  int off[] = {SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER,
               SQLITE_DBCONFIG_ENABLE_TRIGGER, SQLITE_DBCONFIG_TRUSTED_SCHEMA};
  for (size_t i = 0; i < sizeof off / sizeof off[0]; i++) sqlite3_db_config(c->db, off[i], 0, (int *)0);
  sqlite3_db_config(c->db, SQLITE_DBCONFIG_DEFENSIVE, 1, (int *)0);
  /* Full-text search and R-trees write; nothing here needs them. */
  sqlite3_drop_modules(c->db, 0);
  c->modules = calloc((size_t)c->ntables + 1, sizeof *c->modules);
  if (!c->modules) return SQLITE_NOMEM;
  rc = edr_register(c);
  if (rc != SQLITE_OK) return fail(c, "register the tables", rc, err);
  /* Sorts and temporary results stay in memory, where the limit is, and are
  ** never written to the endpoint's disk. */
  rc = sqlite3_exec(c->db, "PRAGMA temp_store=MEMORY", 0, 0, 0);
  if (rc != SQLITE_OK) return fail(c, "set up the connection", rc, err);
  return SQLITE_OK;
}

/* edr_catalog lists every table in sqlite_temp_master, as osquery does. */
int edr_catalog(edr_conn *c, char **err) {
  for (int i = 0; i < c->ntables; i++) {
    char *sql = sqlite3_mprintf("CREATE VIRTUAL TABLE temp.\"%w\" USING \"%w\"", c->tables[i].name, c->tables[i].name);
    if (!sql) return SQLITE_NOMEM;
    int rc = sqlite3_exec(c->db, sql, 0, 0, 0);
    sqlite3_free(sql);
    if (rc != SQLITE_OK) return fail(c, c->tables[i].name, rc, err);
  }
  return SQLITE_OK;
}

/* edr_guard closes the door: from here on everything is authorized. */
int edr_guard(edr_conn *c, char **err) {
  int rc = sqlite3_exec(c->db, "PRAGMA query_only=1", 0, 0, 0);
  if (rc == SQLITE_OK) rc = sqlite3_set_authorizer(c->db, authorize, c);
  if (rc != SQLITE_OK) return fail(c, "guard the connection", rc, err);
  sqlite3_progress_handler(c->db, 2000, progress, c);
  return SQLITE_OK;
}

void edr_close(edr_conn *c) {
  if (c->db) sqlite3_close_v2(c->db);
  c->db = 0;
  free(c->modules);
  free(c->cells);
  free(c->arena);
  free(c);
}

void edr_interrupt(edr_conn *c) {
  __atomic_store_n(&c->stop, 1, __ATOMIC_RELAXED);
  if (c->db) sqlite3_interrupt(c->db);
}

/* A function's user data: which connection, which function. */
typedef struct edr_fn {
  edr_conn *conn;
  uintptr_t index;
} edr_fn;

static void call(sqlite3_context *ctx, int argc, sqlite3_value **argv) {
  edr_fn *f = sqlite3_user_data(ctx);
  edr_value vals[128];
  if (argc > 128) {
    sqlite3_result_error(ctx, "too many arguments", -1);
    return;
  }
  for (int i = 0; i < argc; i++) {
    edr_value *o = &vals[i];
    memset(o, 0, sizeof *o);
    switch (sqlite3_value_type(argv[i])) {
      case SQLITE_NULL:
        break;
      case SQLITE_INTEGER:
        o->kind = EDR_INT;
        o->bits = (uint64_t)sqlite3_value_int64(argv[i]);
        break;
      case SQLITE_FLOAT: {
        double d = sqlite3_value_double(argv[i]);
        o->kind = EDR_REAL;
        memcpy(&o->bits, &d, sizeof d);
        break;
      }
      case SQLITE_BLOB:
        o->kind = EDR_BLOB;
        o->ptr = sqlite3_value_blob(argv[i]);
        o->len = (uint32_t)sqlite3_value_bytes(argv[i]);
        break;
      default:
        o->kind = EDR_TEXT;
        o->ptr = (const char *)sqlite3_value_text(argv[i]);
        o->len = (uint32_t)sqlite3_value_bytes(argv[i]);
    }
  }
  edrCall(f->conn->handle, f->index, ctx, argc, vals);
}

int edr_function(edr_conn *c, const char *name, int nargs, uintptr_t index) {
  edr_fn *f = malloc(sizeof *f);
  if (!f) return SQLITE_NOMEM;
  f->conn = c;
  f->index = index;
  return sqlite3_create_function_v2(c->db, name, nargs, SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS,
                                    f, call, 0, 0, free);
}

void edr_result_text(sqlite3_context *ctx, const char *p, size_t n) {
  sqlite3_result_text64(ctx, n ? p : "", n, SQLITE_TRANSIENT, SQLITE_UTF8);
}

void edr_result_blob(sqlite3_context *ctx, const void *p, size_t n) {
  sqlite3_result_blob64(ctx, n ? p : "", n, SQLITE_TRANSIENT);
}

/* A batch of results ends at so many bytes of text. */
#define OUT_ARENA (256 << 10)

static int put(edr_conn *c, const void *p, int n, uint64_t *at) {
  if (c->narena + (size_t)n > c->caparena) {
    size_t cap = (c->narena + (size_t)n) * 2 + 4096;
    char *more = realloc(c->arena, cap);
    if (!more) return 0;
    c->arena = more;
    c->caparena = cap;
  }
  if (n) memcpy(c->arena + c->narena, p, (size_t)n);
  *at = c->narena;
  c->narena += (size_t)n;
  return 1;
}

/* edr_step reads rows until there are maxrows, or enough bytes, or Go has
** asked for what there is. It answers SQLITE_ROW if there may be more. */
int edr_step(edr_conn *c, sqlite3_stmt *stmt, int ncol, int maxrows, int *rows) {
  *rows = 0;
  c->ncells = 0;
  c->narena = 0;
  c->flush = 0;
  if (c->capcells < ncol * maxrows) {
    edr_cell *more = realloc(c->cells, sizeof *more * (size_t)(ncol * maxrows));
    if (!more) return SQLITE_NOMEM;
    c->cells = more;
    c->capcells = ncol * maxrows;
  }
  for (;;) {
    int rc = sqlite3_step(stmt);
    if (rc != SQLITE_ROW) return rc;
    for (int i = 0; i < ncol; i++) {
      edr_cell *o = &c->cells[c->ncells++];
      o->bits = 0;
      o->len = 0;
      switch (sqlite3_column_type(stmt, i)) {
        case SQLITE_INTEGER:
          o->kind = EDR_INT;
          o->bits = (uint64_t)sqlite3_column_int64(stmt, i);
          break;
        case SQLITE_FLOAT: {
          double d = sqlite3_column_double(stmt, i);
          o->kind = EDR_REAL;
          memcpy(&o->bits, &d, sizeof d);
          break;
        }
        case SQLITE_TEXT: {
          const void *p = sqlite3_column_text(stmt, i);
          int n = sqlite3_column_bytes(stmt, i);
          o->kind = EDR_TEXT;
          o->len = (uint32_t)n;
          if (!p || !put(c, p, n, &o->bits)) return SQLITE_NOMEM;
          break;
        }
        case SQLITE_BLOB: {
          const void *p = sqlite3_column_blob(stmt, i);
          int n = sqlite3_column_bytes(stmt, i);
          o->kind = EDR_BLOB;
          o->len = (uint32_t)n;
          if ((!p && n) || !put(c, p, n, &o->bits)) return SQLITE_NOMEM;
          break;
        }
        default:
          o->kind = EDR_NULL;
      }
    }
    if (++*rows >= maxrows || c->narena >= OUT_ARENA || c->flush) return SQLITE_ROW;
  }
}
