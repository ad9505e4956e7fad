import { createContext, useContext, type ReactNode } from 'react'
import { QueryClient, useQuery, useQueryClient } from '@tanstack/react-query'
import { ApiError, Client } from './api/client'
import type { Me } from './api/types'
import { t } from './i18n'

export interface Session {
  client: Client
  queries: QueryClient
}

/** Puts another person, or nobody, in place of who was logged in, and forgets what that one has seen. */
export function become(queries: QueryClient, me: Me | null): void {
  queries.removeQueries({ predicate: (q) => q.queryKey[0] !== 'me' })
  queries.setQueryData(['me'], me)
}

/** One client and its cache; a lost login empties both. */
export function newSession(): Session {
  const queries = new QueryClient({
    defaultOptions: {
      queries: {
        staleTime: 10_000,
        refetchOnWindowFocus: true,
        retry: (n, error) => n < 2 && !(error instanceof ApiError && error.status >= 400 && error.status < 500),
      },
    },
  })
  const client = new Client(() => become(queries, null))
  return { client, queries }
}

const ClientContext = createContext<Client | null>(null)
export const ClientProvider = ClientContext.Provider

export function useClient(): Client {
  const client = useContext(ClientContext)
  if (!client) throw new Error('useClient outside ClientProvider')
  return client
}

/** Who is logged in; null where nobody is. */
export function useMeQuery() {
  const client = useClient()
  return useQuery({
    queryKey: ['me'],
    queryFn: async (): Promise<Me | null> => {
      try {
        return await client.me()
      } catch (error) {
        if (error instanceof ApiError && error.status === 401) return null
        throw error
      }
    },
    staleTime: Infinity,
  })
}

const MeContext = createContext<Me | null>(null)
export function MeProvider({ me, children }: { me: Me; children: ReactNode }): ReactNode {
  return <MeContext.Provider value={me}>{children}</MeContext.Provider>
}

export function useMe(): Me {
  const me = useContext(MeContext)
  if (!me) throw new Error('useMe outside MeProvider')
  return me
}

/** Null where the person has the right, otherwise why not. */
export function useLacks(right: string): string | null {
  const me = useMe()
  return (me.rights ?? []).includes(right) ? null : t('rights.lacking', { role: me.role, right })
}

export function useSignOut(): () => Promise<void> {
  const client = useClient()
  const queries = useQueryClient()
  return async () => {
    try {
      await client.logout()
    } finally {
      become(queries, null)
    }
  }
}
