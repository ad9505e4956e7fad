import type { Integer } from '../api/json'
import type { Alert, Process } from '../api/types'

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

/** Names a process for good: pids come round again, a start time does not. */
export function identity(p: Pick<Process, 'pid' | 'start_time_ns'>): string {
  return `${p.pid}@${p.start_time_ns}`
}

/** A start time of zero is one that the agent could not learn; such a process has no identity. */
export function killable(p: Process | null): p is Process {
  return p !== null && BigInt(p.pid) > 1n && BigInt(p.start_time_ns) > 0n
}
