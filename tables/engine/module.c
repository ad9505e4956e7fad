/* The virtual table module: planning and the reading of cells stay in C, so
** that Go is entered once for each batch of rows and not for each cell. */
#include <stdlib.h>
#include <string.h>

#include "engine.h"

/* tables.Op */
enum { OP_EQ = 1, OP_GT, OP_GE, OP_LT, OP_LE, OP_LIKE, OP_GLOB };

typedef struct edr_vtab {
  sqlite3_vtab base;
  edr_conn *conn;
  int table;
} edr_vtab;

static int op_of(int sqlite_op) {
  switch (sqlite_op) {
    case SQLITE_INDEX_CONSTRAINT_EQ: return OP_EQ;
    case SQLITE_INDEX_CONSTRAINT_GT: return OP_GT;
    case SQLITE_INDEX_CONSTRAINT_GE: return OP_GE;
    case SQLITE_INDEX_CONSTRAINT_LT: return OP_LT;
    case SQLITE_INDEX_CONSTRAINT_LE: return OP_LE;
    case SQLITE_INDEX_CONSTRAINT_LIKE: return OP_LIKE;
    case SQLITE_INDEX_CONSTRAINT_GLOB: return OP_GLOB;
  }
  return 0;
}

static int x_connect(sqlite3 *db, void *aux, int argc, const char *const *argv,
                     sqlite3_vtab **out, char **err) {
  edr_module *m = aux;
  (void)argc;
  (void)argv;
  int rc = sqlite3_declare_vtab(db, m->conn->tables[m->table].decl);
  if (rc != SQLITE_OK) {
    *err = sqlite3_mprintf("declare %s: %s", m->conn->tables[m->table].name, sqlite3_errmsg(db));
    return rc;
  }
  edr_vtab *v = sqlite3_malloc64(sizeof *v);
  if (!v) return SQLITE_NOMEM;
  memset(v, 0, sizeof *v);
  v->conn = m->conn;
  v->table = m->table;
  *out = &v->base;
  return SQLITE_OK;
}

static int x_disconnect(sqlite3_vtab *v) {
  sqlite3_free(v);
  return SQLITE_OK;
}

/* The plan goes to xFilter as text: "P point U mask" and then, for each
** argument, "col op in". SQLite checks every constraint again (omit stays 0),
** so that a scan may ignore them. */
static int x_best_index(sqlite3_vtab *vt, sqlite3_index_info *info) {
  edr_vtab *v = (edr_vtab *)vt;
  const edr_table *t = &v->conn->tables[v->table];
  sqlite3_str *s = sqlite3_str_new(v->conn->db);
  int argc = 0, met = 0, point = 0;

  for (int i = 0; i < info->nConstraint; i++) {
    struct sqlite3_index_constraint *k = &info->aConstraint[i];
    int op = op_of(k->op);
    if (!k->usable || !op || k->iColumn < 0 || k->iColumn >= t->ncol) continue;
    const edr_col *col = &t->cols[k->iColumn];
    if (!col->pushed) continue;
    if (op >= OP_GT && op <= OP_LE && !col->numeric) continue;
    if (op == OP_EQ && !col->numeric) {
      /* Another collation finds more than the text that is written. */
      const char *coll = sqlite3_vtab_collation(info, i);
      if (coll && strcmp(coll, "BINARY") != 0) continue;
    }
    int in = op == OP_EQ && sqlite3_vtab_in(info, i, -1);
    if (in) sqlite3_vtab_in(info, i, 1);
    info->aConstraintUsage[i].argvIndex = ++argc;
    sqlite3_str_appendf(s, " %d %d %d", col->base, op, in);
    if (col->need && (op == OP_EQ || op == OP_LIKE || op == OP_GLOB)) met = 1;
    if (col->index && op == OP_EQ) point = 1;
  }

  char *args = sqlite3_str_finish(s);
  info->idxStr = sqlite3_mprintf("%d %llx%s", point, info->colUsed, args ? args : "");
  sqlite3_free(args);
  if (!info->idxStr) return SQLITE_NOMEM;
  info->needToFreeIdxStr = 1;
  info->idxNum = argc;
  if (t->needs && !met) {
    /* Not refused: xFilter then says which column is missing. */
    info->estimatedCost = 1e12;
    info->estimatedRows = 1000000;
  } else if (argc) {
    /* Each question to the record reads on from a time: the record is asked
       once, as the outer loop, wherever there is a choice. */
    info->estimatedCost = t->evented ? 1e4 : point ? 1 : 2;
    info->estimatedRows = 25;
  } else {
    info->estimatedCost = 1e6;
    info->estimatedRows = 1000000;
  }
  return SQLITE_OK;
}

static int x_open(sqlite3_vtab *vt, sqlite3_vtab_cursor **out) {
  edr_vtab *v = (edr_vtab *)vt;
  const edr_table *t = &v->conn->tables[v->table];
  size_t slots = sizeof(int16_t) * (size_t)t->ncol;
  edr_cursor *c = sqlite3_malloc64(sizeof *c + slots);
  if (!c) return SQLITE_NOMEM;
  memset(c, 0, sizeof *c + slots);
  c->conn = v->conn;
  c->table = v->table;
  c->id = -1;
  c->eof = 1;
  c->slot = (int16_t *)(c + 1);
  *out = &c->base;
  return SQLITE_OK;
}

static int x_close(sqlite3_vtab_cursor *vc) {
  edr_cursor *c = (edr_cursor *)vc;
  if (c->id >= 0) edrDone(c->conn->handle, c->id);
  sqlite3_free(c->met);
  sqlite3_free(c);
  return SQLITE_OK;
}

static void read_value(sqlite3_value *v, int type, edr_value *out) {
  memset(out, 0, sizeof *out);
  switch (type) {
    case SQLITE_INTEGER:
      out->kind = EDR_INT;
      out->bits = (uint64_t)sqlite3_value_int64(v);
      break;
    case SQLITE_FLOAT: {
      double d = sqlite3_value_double(v);
      out->kind = EDR_REAL;
      memcpy(&out->bits, &d, sizeof d);
      break;
    }
    case SQLITE_TEXT:
      out->kind = EDR_TEXT;
      out->ptr = (const char *)sqlite3_value_text(v);
      out->len = (uint32_t)sqlite3_value_bytes(v);
      break;
    case SQLITE_BLOB:
      out->kind = EDR_BLOB;
      out->ptr = sqlite3_value_blob(v);
      out->len = (uint32_t)sqlite3_value_bytes(v);
      break;
  }
}

/* constraint_value reads the right side of a constraint as the column's
** affinity has it, which SQLite does not do for virtual tables. It answers 0
** where the scan cannot be given an equivalent, and then must not get it. */
static int constraint_value(const edr_col *col, int op, sqlite3_value *v, edr_value *out) {
  int type = sqlite3_value_type(v);
  if (op == OP_LIKE || op == OP_GLOB) {
    if (type != SQLITE_NULL) type = SQLITE_TEXT;
  } else if (col->numeric) {
    if (type == SQLITE_TEXT) type = sqlite3_value_numeric_type(v);
    if (type == SQLITE_FLOAT && col->integer) {
      double d = sqlite3_value_double(v);
      if (!(d > -9.2e18 && d < 9.2e18)) return 0;
    }
  } else if (col->text && (type == SQLITE_INTEGER || type == SQLITE_FLOAT)) {
    /* Whether '05' equals 5 here depends on where the 5 came from. */
    if (!col->need) return 0;
    type = SQLITE_TEXT;
  }
  read_value(v, type, out);
  return 1;
}

static const char *number(const char *p, int base, unsigned long long *n) {
  char *end;
  *n = strtoull(p, &end, base);
  return end;
}

static int x_filter(sqlite3_vtab_cursor *vc, int num, const char *plan, int argc, sqlite3_value **argv) {
  edr_cursor *c = (edr_cursor *)vc;
  const edr_table *t = &c->conn->tables[c->table];
  unsigned long long point, used;
  (void)num;
  if (c->id >= 0) {
    edrDone(c->conn->handle, c->id);
    c->id = -1;
  }
  c->eof = 1;
  c->row = c->rows = 0;
  c->metrow = -1;
  if (c->nmet) {
    memset(c->met, 0, c->capmet * sizeof *c->met);
    c->nmet = 0;
  }

  plan = number(plan, 10, &point);
  plan = number(plan, 16, &used);

  int *cols = sqlite3_malloc64(sizeof(int) * (size_t)(t->nbase + 1));
  if (!cols) return SQLITE_NOMEM;
  int ncols = 0;
  for (int i = 0; i < t->nbase; i++) c->slot[i] = -1;
  for (int i = 0; i < t->ncol; i++) {
    /* The last bit stands for all columns from the 64th on. */
    if (used >> (i < 63 ? i : 63) & 1) c->slot[t->cols[i].base] = 0;
  }
  for (int i = 0; i < t->nbase; i++) {
    if (c->slot[i] == 0) {
      cols[ncols] = i;
      c->slot[i] = (int16_t)ncols++;
    }
  }
  for (int i = t->nbase; i < t->ncol; i++) c->slot[i] = c->slot[t->cols[i].base];

  int rc = SQLITE_OK, ncon = 0, nval = 0, capval = argc;
  edr_constraint *con = sqlite3_malloc64(sizeof *con * (size_t)(argc + 1));
  edr_value *vals = sqlite3_malloc64(sizeof *vals * (size_t)(capval + 1));
  if (!con || !vals) rc = SQLITE_NOMEM;
  for (int i = 0; rc == SQLITE_OK && i < argc; i++) {
    unsigned long long base, op, in;
    plan = number(plan, 10, &base);
    plan = number(plan, 10, &op);
    plan = number(plan, 10, &in);
    const edr_col *col = &t->cols[base];
    edr_constraint *k = &con[ncon];
    k->col = (int)base;
    k->op = (int)op;
    k->first = nval;
    k->n = 0;
    int usable = 1;
    if (in) {
      sqlite3_value *v;
      int r;
      for (r = sqlite3_vtab_in_first(argv[i], &v); r == SQLITE_OK && v; r = sqlite3_vtab_in_next(argv[i], &v)) {
        if (nval >= capval) {
          capval = capval * 2 + 16;
          edr_value *more = sqlite3_realloc64(vals, sizeof *vals * (size_t)(capval + 1));
          if (!more) { r = SQLITE_NOMEM; break; }
          vals = more;
        }
        if (!constraint_value(col, (int)op, v, &vals[nval])) { usable = 0; continue; }
        /* The list's cursor owns the bytes only until the next value. */
        if (vals[nval].ptr && vals[nval].len) {
          char *copy = sqlite3_malloc64(vals[nval].len);
          if (!copy) { r = SQLITE_NOMEM; break; }
          memcpy(copy, vals[nval].ptr, vals[nval].len);
          vals[nval].ptr = copy;
        } else {
          vals[nval].ptr = 0;
        }
        nval++;
        k->n++;
      }
      if (r != SQLITE_OK && r != SQLITE_DONE) {
        rc = r;
        usable = 0;
      }
      k->op |= 0x100; /* the bytes are ours to free */
    } else {
      if (nval >= capval) {
        capval = capval * 2 + 16;
        edr_value *more = sqlite3_realloc64(vals, sizeof *vals * (size_t)(capval + 1));
        if (!more) { rc = SQLITE_NOMEM; break; }
        vals = more;
      }
      usable = constraint_value(col, (int)op, argv[i], &vals[nval]);
      if (usable) { nval++; k->n = 1; }
    }
    if (usable) {
      ncon++;
    } else {
      if (k->op & 0x100)
        for (int j = k->first; j < nval; j++) sqlite3_free((void *)vals[j].ptr);
      nval = k->first;
      point = 0;
    }
  }
  if (rc == SQLITE_OK) {
    rc = edrScan(c->conn->handle, c, ncols, cols, (int)point, ncon, con, vals);
  }
  for (int i = 0; con && vals && i < ncon; i++) {
    if (con[i].op & 0x100)
      for (int j = 0; j < con[i].n; j++) sqlite3_free((void *)vals[con[i].first + j].ptr);
  }
  sqlite3_free(cols);
  sqlite3_free(con);
  sqlite3_free(vals);
  return rc;
}

static int x_next(sqlite3_vtab_cursor *vc) {
  edr_cursor *c = (edr_cursor *)vc;
  c->metrow = -1;
  if (++c->row < c->rows) return SQLITE_OK;
  return edrNext(c->conn->handle, c);
}

static int x_eof(sqlite3_vtab_cursor *vc) { return ((edr_cursor *)vc)->eof; }

static int x_column(sqlite3_vtab_cursor *vc, sqlite3_context *ctx, int i) {
  edr_cursor *c = (edr_cursor *)vc;
  int slot = c->slot[i];
  if (slot < 0) return SQLITE_OK;
  const edr_cell *cell = (const edr_cell *)c->cells + (size_t)c->row * (size_t)c->width + (size_t)slot;
  switch (cell->kind) {
    case EDR_INT:
      sqlite3_result_int64(ctx, (sqlite3_int64)cell->bits);
      break;
    case EDR_REAL: {
      double d;
      memcpy(&d, &cell->bits, sizeof d);
      sqlite3_result_double(ctx, d);
      break;
    }
    /* Copied: SQLite may keep the value past the batch. */
    case EDR_TEXT:
      sqlite3_result_text64(ctx, cell->len ? (const char *)c->arena + cell->bits : "", cell->len,
                            SQLITE_TRANSIENT, SQLITE_UTF8);
      break;
    case EDR_BLOB:
      sqlite3_result_blob64(ctx, cell->len ? (const char *)c->arena + cell->bits : "", cell->len,
                            SQLITE_TRANSIENT);
      break;
  }
  return SQLITE_OK;
}

/* xCreate equal to xConnect makes every table there by its name without a
** statement that creates it, and connected only when a statement names it. */
static const sqlite3_module edr_tables = {
  .iVersion = 0,
  .xCreate = x_connect,
  .xConnect = x_connect,
  .xBestIndex = x_best_index,
  .xDisconnect = x_disconnect,
  .xDestroy = x_disconnect,
  .xOpen = x_open,
  .xClose = x_close,
  .xFilter = x_filter,
  .xNext = x_next,
  .xEof = x_eof,
  .xColumn = x_column,
  .xRowid = edr_rowid,
};

int edr_register(edr_conn *c) {
  for (int i = 0; i < c->ntables; i++) {
    c->modules[i].conn = c;
    c->modules[i].table = i;
    int rc = sqlite3_create_module_v2(c->db, c->tables[i].name, &edr_tables, &c->modules[i], 0);
    if (rc != SQLITE_OK) return rc;
  }
  return SQLITE_OK;
}
