import type { Integer } from '../api/json'
import type { Alert, Process, Response } from '../api/types'

export interface Ancestor {
  process: Process
  /** 0 is the furthest ancestor known. */
  depth: number
  /** The process that the alert is about. */
  subject: boolean
  /** Between this one and the one above it some are missing. */
  gap: boolean
}

const same = (a: Integer, b: Integer): boolean => BigInt(a) === BigInt(b)

/**
 * The chain from the furthest known ancestor down to the process of the alert.
 * A parent whose pid does not fit is marked as a gap instead of being drawn as
 * if it had started the next.
 */
export function lineage(alert: Pick<Alert, 'process' | 'ancestry'>): Ancestor[] {
  const nearestFirst: Process[] = []
  if (alert.process) nearestFirst.push(alert.process)
  nearestFirst.push(...(alert.ancestry ?? []))
  const chain = nearestFirst.toReversed()
  return chain.map((process, i) => {
    const above = chain[i - 1]
    return {
      process,
      depth: i,
      subject: alert.process !== null && i === chain.length - 1,
      gap: above !== undefined && !same(process.parent, above.pid),
    }
  })
}

/** What people have asked of exactly this process, and how far it is. */
export function killState(p: Process, responses: Response[] | null): 'ended' | 'asked' | null {
  let asked = false
  for (const r of responses ?? []) {
    const args = r.args as Partial<Pick<Process, 'pid' | 'start_time_ns'>> | null
    if (r.action !== 'terminate_process' || r.dry_run || args?.pid === undefined || args.start_time_ns === undefined) continue
    if (!same(args.pid, p.pid) || !same(args.start_time_ns, p.start_time_ns)) continue
    if (r.state === 'done') return 'ended'
    if (r.state === 'pending' || r.state === 'sent') asked = true
  }
  return asked ? 'asked' : null
}

/** Names a process for good: pids come round again, a start time does not. */
export function identity(p: Pick<Process, 'pid' | 'start_time_ns'>): string {
  return `${p.pid}@${p.start_time_ns}`
}

/** A start time of zero is one that the agent could not learn; such a process has no identity. */
export function killable(p: Process | null): p is Process {
  return p !== null && BigInt(p.pid) > 1n && BigInt(p.start_time_ns) > 0n
}
