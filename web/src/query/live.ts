import { useEffect, useRef, useState } from 'react'
import type { Client } from '../api/client'
import { queryStreamURL } from '../api/client'
import { openStream, type StreamState } from '../api/stream'
import type { Query, QueryHost, QueryRow } from '../api/types'
import { LiveRows, type LiveState } from '../lib/rows'
import { useClient } from '../session'

export interface Live {
  state: LiveState
  /** Rises with each change of the state, which is changed in place. */
  version: number
  stream: StreamState
  error: unknown
  /** Rows are still being fetched. */
  loading: boolean
}

const paint = 200 // milliseconds between redraws, however fast rows come
const pageSize = 5000

/** Follows a live query: what is stored first, then what arrives. */
export function useLiveQuery(id: string): Live {
  const client = useClient()
  const rows = useRef(new LiveRows())
  const [version, setVersion] = useState(0)
  const [stream, setStream] = useState<StreamState>('connecting')
  const [error, setError] = useState<unknown>(null)
  const [loading, setLoading] = useState(true)

  useEffect(() => {
    const live = new LiveRows()
    rows.current = live
    let ended = false
    let timer: ReturnType<typeof setTimeout> | undefined
    let close: (() => void) | undefined
    const changed = (): void => {
      timer ??= setTimeout(() => {
        timer = undefined
        if (!ended) setVersion((v) => v + 1)
      }, paint)
    }
    const catchUp = follower(client, id, live, () => ended, changed)
    const fail = (e: unknown): void => {
      if (!ended) setError(e)
    }

    const start = async (): Promise<void> => {
      await catchUp()
      if (ended) return
      setLoading(false)
      setVersion((v) => v + 1)
      if (live.state.done) return
      close = openStream(queryStreamURL(id), {
        onState: (s) => !ended && setStream(s),
        // Between the last page and the opening, rows may have come.
        onOpen: () => void catchUp().then(() => live.state.done && close?.()).catch(fail),
        on: {
          rows: (data) => {
            live.apply({ type: 'rows', rows: (data as { rows: QueryRow[] | null }).rows ?? [] })
            changed()
          },
          host: (data) => {
            live.apply({ type: 'host', host: data as QueryHost })
            changed()
          },
          done: (data) => {
            live.apply({ type: 'done', query: data as Query })
            close?.()
            changed()
            void catchUp().catch(fail)
          },
        },
      })
    }
    setError(null)
    setLoading(true)
    void start().catch((e: unknown) => {
      fail(e)
      if (!ended) setLoading(false)
    })
    return () => {
      ended = true
      clearTimeout(timer)
      close?.()
    }
  }, [client, id])

  return { state: rows.current.state, version, stream, error, loading }
}

/** Fetches the query and all rows that are not there yet. */
function follower(client: Client, id: string, live: LiveRows, ended: () => boolean, changed: () => void): () => Promise<void> {
  return async () => {
    const query = await client.query(id)
    for (;;) {
      const page = await client.queryRows(id, live.state.caughtUp, pageSize)
      if (ended()) return
      const rows = page.rows ?? []
      const before = live.state.caughtUp
      live.apply({ type: 'page', rows, next: page.next ?? 0 })
      changed()
      if (rows.length === 0 || live.state.caughtUp <= before) break
    }
    live.apply({ type: 'query', query })
    changed()
  }
}
