import { parse } from './json'

export type StreamState = 'connecting' | 'open' | 'waiting'

/** The part of EventSource that a stream needs; a test gives its own. */
export interface Source {
  readyState: number
  addEventListener(type: string, listener: (event: MessageEvent<string>) => void): void
  close(): void
}

export interface StreamOptions {
  on: Record<string, (data: unknown) => void>
  onState?: (state: StreamState) => void
  /** Called at each opening: what was missed meanwhile has to be fetched. */
  onOpen?: () => void
  source?: (url: string) => Source
  /** Milliseconds before the nth new try. */
  backoff?: (attempt: number) => number
}

const closed = 2

const defaultBackoff = (attempt: number): number => Math.min(30_000, 1000 * 2 ** Math.min(attempt, 5))

/**
 * Server-sent events that come back. The browser itself connects anew after
 * a broken connection, naming the last event it saw; after a refusal (the
 * server restarts, a proxy answers 502) it gives up, and that is done here.
 */
export function openStream(url: string, options: StreamOptions): () => void {
  const make = options.source ?? ((u: string): Source => new EventSource(u))
  const backoff = options.backoff ?? defaultBackoff
  let source: Source | null = null
  let timer: ReturnType<typeof setTimeout> | undefined
  let attempt = 0
  let ended = false

  const connect = (): void => {
    if (ended) return
    options.onState?.('connecting')
    const own = make(url)
    source = own
    own.addEventListener('open', () => {
      attempt = 0
      options.onState?.('open')
      options.onOpen?.()
    })
    own.addEventListener('error', () => {
      if (ended) return
      options.onState?.('waiting')
      if (own.readyState !== closed) return
      own.close()
      timer = setTimeout(connect, backoff(attempt++))
    })
    for (const [type, handle] of Object.entries(options.on)) {
      own.addEventListener(type, (event) => {
        let data: unknown
        try {
          data = parse(event.data)
        } catch {
          return // cut off on the way; the next opening fetches what is missing
        }
        handle(data)
      })
    }
  }

  connect()
  return () => {
    ended = true
    clearTimeout(timer)
    source?.close()
  }
}
