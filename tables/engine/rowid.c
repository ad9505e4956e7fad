/* What tells one row of a scan from another. */
#include <string.h>

#include "engine.h"

#define ROTL(x, b) (uint64_t)(((x) << (b)) | ((x) >> (64 - (b))))
#define SIPROUND \
  do { \
    v[0] += v[1]; v[1] = ROTL(v[1], 13); v[1] ^= v[0]; v[0] = ROTL(v[0], 32); \
    v[2] += v[3]; v[3] = ROTL(v[3], 16); v[3] ^= v[2]; \
    v[0] += v[3]; v[3] = ROTL(v[3], 21); v[3] ^= v[0]; \
    v[2] += v[1]; v[1] = ROTL(v[1], 17); v[1] ^= v[2]; v[2] = ROTL(v[2], 32); \
  } while (0)

static void sip_word(uint64_t v[4], uint64_t m) {
  v[3] ^= m;
  SIPROUND;
  v[0] ^= m;
}

/* A keyed hash of a row's wanted cells: keyed, so that nobody can make two
** rows collide and hide one. */
static uint64_t row_hash(const edr_cursor *c) {
  uint64_t k0 = c->conn->k0, k1 = c->conn->k1;
  uint64_t v[4] = {k0 ^ 0x736f6d6570736575ULL, k1 ^ 0x646f72616e646f6dULL,
                   k0 ^ 0x6c7967656e657261ULL, k1 ^ 0x7465646279746573ULL};
  const edr_cell *cell = (const edr_cell *)c->cells + (size_t)c->row * (size_t)c->width;
  for (int i = 0; i < c->width; i++, cell++) {
    sip_word(v, (uint64_t)cell->kind << 32 | cell->len);
    if (cell->kind == EDR_INT || cell->kind == EDR_REAL) {
      sip_word(v, cell->bits);
    } else if (cell->kind == EDR_TEXT || cell->kind == EDR_BLOB) {
      const char *p = (const char *)c->arena + cell->bits;
      uint32_t n = cell->len;
      for (; n >= 8; n -= 8, p += 8) {
        uint64_t m;
        memcpy(&m, p, 8);
        sip_word(v, m);
      }
      uint64_t m = 0;
      if (n) memcpy(&m, p, n);
      sip_word(v, m);
    }
  }
  v[2] ^= 0xff;
  SIPROUND;
  SIPROUND;
  SIPROUND;
  return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* met counts how often this scan has met a content before; -1 without memory. */
static int64_t met(edr_cursor *c, uint64_t h) {
  if (c->nmet * 2 >= c->capmet) {
    size_t cap = c->capmet ? c->capmet * 2 : 64;
    struct edr_met *more = sqlite3_malloc64(cap * sizeof *more);
    if (!more) return -1;
    memset(more, 0, cap * sizeof *more);
    for (size_t i = 0; i < c->capmet; i++) {
      if (!c->met[i].times) continue;
      size_t at = c->met[i].hash & (cap - 1);
      while (more[at].times) at = (at + 1) & (cap - 1);
      more[at] = c->met[i];
    }
    sqlite3_free(c->met);
    c->met = more;
    c->capmet = cap;
  }
  size_t at = h & (c->capmet - 1);
  while (c->met[at].times && c->met[at].hash != h) at = (at + 1) & (c->capmet - 1);
  if (!c->met[at].times) {
    c->met[at].hash = h;
    c->nmet++;
  }
  return (int64_t)c->met[at].times++;
}

/* SQLite tells rows apart by their identifiers where it unites the answers to
** the sides of an OR, each a scan of its own, and where it looks for what a
** RIGHT JOIN has not matched. A running number would take different rows for
** the same one. So the identifier is the content and which of its equals the
** row is: equal rows pass or fail every condition alike. */
int edr_rowid(sqlite3_vtab_cursor *vc, sqlite3_int64 *out) {
  edr_cursor *c = (edr_cursor *)vc;
  if (c->metrow != c->row) {
    uint64_t h = row_hash(c);
    int64_t times = met(c, h);
    if (times < 0) return SQLITE_NOMEM;
    c->metrow = c->row;
    c->metid = (sqlite3_int64)(h + (uint64_t)times * 0x9e3779b97f4a7c15ULL);
  }
  *out = c->metid;
  return SQLITE_OK;
}
