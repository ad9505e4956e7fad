/* What the engine's C half and its Go half say to each other. */
#ifndef EDR_ENGINE_H
#define EDR_ENGINE_H

#include "sqlite.h"

/* The layout of tables.Cell. */
typedef struct edr_cell {
  uint64_t bits;
  uint32_t len;
  uint32_t kind;
} edr_cell;

/* Bytes that one text or blob may have. */
#define EDR_MAX_LENGTH (64 << 20)

enum { EDR_NULL, EDR_INT, EDR_REAL, EDR_TEXT, EDR_BLOB };

/* How a column takes part in planning. */
typedef struct edr_col {
  int base;        /* the column that this one is another name of, or itself */
  uint8_t pushed;  /* constraints are handed to the scan */
  uint8_t index;   /* equality finds rows without a whole scan */
  uint8_t need;    /* the table wants a constraint on one of these */
  uint8_t numeric; /* numeric affinity */
  uint8_t integer; /* integer affinity */
  uint8_t text;    /* text affinity */
} edr_col;

/* A table as the module knows it; lives as long as its Engine. */
typedef struct edr_table {
  char *name;
  char *decl;   /* CREATE TABLE statement for sqlite3_declare_vtab */
  int ncol;     /* with the other names */
  int nbase;    /* without */
  int needs;    /* whether any column has need */
  int evented; /* a key narrows a reading of the record, it does not jump to rows */
  edr_col *cols;
} edr_table;

/* A value of a constraint or of a function's argument. The bytes belong to
** SQLite and are gone when the call into Go returns. */
typedef struct edr_value {
  uint64_t bits;
  const char *ptr;
  uint32_t len;
  uint32_t kind;
} edr_value;

/* A constraint: op is that of tables.Op. */
typedef struct edr_constraint {
  int col;
  int op;
  int first; /* of its values */
  int n;
} edr_constraint;

struct edr_conn;

typedef struct edr_module {
  struct edr_conn *conn;
  int table;
} edr_module;

/* A connection, for one statement. */
typedef struct edr_conn {
  sqlite3 *db;
  uintptr_t handle; /* the Go half */
  const edr_table *tables;
  int ntables;
  edr_module *modules;
  uint64_t k0, k1;   /* key of the row identifiers */
  int stop;          /* set from another thread: end the statement */
  unsigned ticks;
  int flush;         /* set by Go: hand on the rows that there are */
  /* rows read by edr_step */
  edr_cell *cells;
  int ncells, capcells;
  char *arena;
  size_t narena, caparena;
} edr_conn;

/* A cursor of a table. cells and arena are addresses of a pinned Go batch. */
typedef struct edr_cursor {
  sqlite3_vtab_cursor base;
  edr_conn *conn;
  int table;
  int id; /* the Go half; -1 before the first scan */
  int eof;
  int row, rows, width;
  uintptr_t cells, arena;
  int16_t *slot; /* column to slot of the batch, -1 where it is not wanted */
  /* how often each content has been met by edr_rowid in this scan */
  struct edr_met { uint64_t hash; uint64_t times; } *met;
  size_t nmet, capmet;
  int metrow; /* the row that was met last, and its identifier */
  sqlite3_int64 metid;
} edr_cursor;

int edr_version(void);
int edr_open(edr_conn *c, char **err);
int edr_catalog(edr_conn *c, char **err);
int edr_guard(edr_conn *c, char **err);
void edr_close(edr_conn *c);
void edr_interrupt(edr_conn *c);
int edr_function(edr_conn *c, const char *name, int nargs, uintptr_t index);
int edr_step(edr_conn *c, sqlite3_stmt *stmt, int ncol, int maxrows, int *rows);
int edr_register(edr_conn *c);
int edr_rowid(sqlite3_vtab_cursor *vc, sqlite3_int64 *out);
void edr_result_text(sqlite3_context *ctx, const char *p, size_t n);
void edr_result_blob(sqlite3_context *ctx, const void *p, size_t n);

/* Memory of the calling thread's statement, in bytes. */
int edr_mem_counted(void);
int edr_mem_refused(void);
void edr_mem_begin(int64_t limit);
void edr_mem_end(int64_t *peak, int *over);

/* Called in Go. */
extern int edrScan(uintptr_t handle, edr_cursor *cur, int ncols, int *cols, int point,
                   int ncon, edr_constraint *con, edr_value *vals);
extern int edrNext(uintptr_t handle, edr_cursor *cur);
extern void edrDone(uintptr_t handle, int id);
extern int edrAuthorize(uintptr_t handle, int code, char *a, char *b, char *c, char *d);
extern int edrTick(uintptr_t handle);
extern void edrCall(uintptr_t handle, uintptr_t index, sqlite3_context *ctx, int argc, edr_value *argv);

#endif
