import type { QueryClient } from '@tanstack/react-query'
import { openStream, type StreamState } from './stream'
import { streamURL } from './client'
import type { Alert, Response } from './types'

const watched = ['alerts', 'alert', 'hosts', 'host', 'overview', 'responses']

/**
 * Joins the server's stream to the cache: an event names what has changed, and
 * what is on the screen is fetched again, at most twice a second.
 */
export function followFleet(queries: QueryClient, onState: (state: StreamState) => void): () => void {
  const due = new Set<string>()
  let timer: ReturnType<typeof setTimeout> | undefined

  const refresh = (...keys: string[]): void => {
    for (const key of keys) due.add(key)
    timer ??= setTimeout(() => {
      timer = undefined
      const now = [...due]
      due.clear()
      for (const key of now) void queries.invalidateQueries({ queryKey: [key] })
    }, 500)
  }

  const close = openStream(streamURL, {
    onState,
    onOpen: () => {
      // What happened between the last answer and now, nobody has told.
      refresh(...watched)
    },
    on: {
      missed: () => refresh(...watched),
      alert: (data) => {
        const alert = data as Partial<Alert>
        if (alert.id !== undefined) void queries.invalidateQueries({ queryKey: ['alert', String(alert.id)] })
        refresh('alerts', 'overview', 'host')
      },
      host: () => refresh('hosts', 'host', 'overview'),
      response: (data) => {
        const response = data as Partial<Response>
        if (response.alert) void queries.invalidateQueries({ queryKey: ['alert', String(response.alert)] })
        refresh('responses', 'overview')
      },
    },
  })
  return () => {
    clearTimeout(timer)
    close()
  }
}
