import type { OutcomeState, Query, QueryHost, QueryRow } from '../api/types'

/** What is known of a live query: rows in their order, hosts by outcome. */
export interface LiveState {
  query: Query | null
  rows: QueryRow[]
  columns: string[]
  hosts: Map<string, QueryHost>
  /** The highest sequence number up to which nothing is missing. */
  caughtUp: number
  done: boolean
}

export type LiveEvent =
  | { type: 'query'; query: Query }
  | { type: 'page'; rows: QueryRow[]; next: number }
  | { type: 'rows'; rows: QueryRow[] }
  | { type: 'host'; host: QueryHost }
  | { type: 'done'; query: Query }

/**
 * Gathers pages and streamed rows, in any order and with repetitions, into one
 * list without doubles. It changes its state in place: at a hundred thousand
 * rows a copy for each event would be the whole cost.
 */
export class LiveRows {
  readonly state: LiveState = {
    query: null,
    rows: [],
    columns: [],
    hosts: new Map(),
    caughtUp: 0,
    done: false,
  }
  private readonly seen = new Set<number>()
  private readonly known = new Set<string>()

  apply(event: LiveEvent): void {
    const s = this.state
    switch (event.type) {
      case 'query':
      case 'done':
        s.query = event.query
        s.done = event.query.done
        for (const host of event.query.hosts ?? []) s.hosts.set(host.id, host)
        for (const column of event.query.columns ?? []) this.column(column)
        return
      case 'host':
        s.hosts.set(event.host.id, event.host)
        return
      case 'page':
        this.add(event.rows)
        s.caughtUp = Math.max(s.caughtUp, event.next, event.rows.at(-1)?.seq ?? 0)
        return
      case 'rows':
        this.add(event.rows)
        // Streamed rows that follow without a hole need not be fetched again.
        for (const row of event.rows) if (row.seq === s.caughtUp + 1) s.caughtUp = row.seq
        return
    }
  }

  private column(name: string): void {
    if (this.known.has(name)) return
    this.known.add(name)
    this.state.columns = [...this.state.columns, name]
  }

  private add(rows: QueryRow[]): void {
    const list = this.state.rows
    let sorted = true
    for (const row of rows) {
      if (this.seen.has(row.seq)) continue
      this.seen.add(row.seq)
      if (list.length > 0 && list[list.length - 1]!.seq > row.seq) sorted = false
      list.push(row)
      for (const column in row.values) this.column(column)
    }
    if (!sorted) list.sort((a, b) => a.seq - b.seq)
  }
}

/** The five ways in which a host's part of a live query can stand. */
export type Outcome = 'rows' | 'none' | 'error' | 'offline' | 'pending'
export const outcomes: readonly Outcome[] = ['rows', 'none', 'error', 'offline', 'pending']

/**
 * Sorts a host's state into the five. A host that let the deadline pass gave
 * an error, not an empty answer, and so did one that was stopped before its end.
 */
export function outcomeOf(state: OutcomeState): Outcome {
  switch (state) {
    case 'rows':
    case 'none':
    case 'error':
    case 'offline':
      return state
    case 'expired':
    case 'stopped':
      return 'error'
    default:
      return 'pending'
  }
}

export function countOutcomes(hosts: Iterable<QueryHost>): Record<Outcome, number> {
  const counts: Record<Outcome, number> = { rows: 0, none: 0, error: 0, offline: 0, pending: 0 }
  for (const host of hosts) counts[outcomeOf(host.state)]++
  return counts
}
