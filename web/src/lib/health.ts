import type { Health, Sensor } from '../api/types'

export type SensorState = 'healthy' | 'degraded' | 'failed' | 'unknown'

/**
 * Sorts a sensor's word into ours. A word that this console does not know
 * counts as degraded: what cannot be read as healthy is not called so.
 */
export function stateOf(sensor: Pick<Sensor, 'state'>): SensorState {
  switch (sensor.state) {
    case 'running':
      return 'healthy'
    case 'failed':
      return 'failed'
    default: // "degraded", "off"
      return 'degraded'
  }
}

export interface SensorSummary {
  state: SensorState
  healthy: number
  degraded: number
  failed: number
  lost: bigint
}

export function sensorSummary(health: Health | null): SensorSummary {
  const out: SensorSummary = { state: 'unknown', healthy: 0, degraded: 0, failed: 0, lost: 0n }
  for (const sensor of health?.sensors ?? []) {
    const state = stateOf(sensor)
    if (state === 'healthy') out.healthy++
    else if (state === 'failed') out.failed++
    else out.degraded++
    out.lost += BigInt(sensor.lost)
  }
  if (out.failed > 0) out.state = 'failed'
  else if (out.degraded > 0) out.state = 'degraded'
  else if (out.healthy > 0) out.state = 'healthy'
  return out
}
