import { severities, type Bucket, type Severity } from '../api/types'

export interface Bar {
  /** RFC 3339; the next bar begins where this one ends. */
  from: string
  to: string
  total: number
  /** From the bottom up, the gravest lowest, without empty ones. */
  parts: { severity: Severity; n: number }[]
}

/** The least of 1, 2, 5, 10, 20 … that holds n, so that an axis ends at a round number. */
export function roundUp(n: number): number {
  if (n <= 1) return 1
  const power = 10 ** Math.floor(Math.log10(n))
  for (const factor of [1, 2, 5]) if (factor * power >= n) return factor * power
  return 10 * power
}

export function bars(buckets: readonly Bucket[], bucketSeconds: number): Bar[] {
  return buckets.map((b, i) => {
    const parts = severities.map((severity) => ({ severity, n: b.counts?.[severity] ?? 0 })).filter((p) => p.n > 0)
    const end = buckets[i + 1]?.time ?? new Date(Date.parse(b.time) + bucketSeconds * 1000).toISOString()
    return { from: b.time, to: end, total: parts.reduce((a, p) => a + p.n, 0), parts }
  })
}
