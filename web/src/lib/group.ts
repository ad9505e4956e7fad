import type { GroupSettings } from '../api/types'

/** Settings as a form holds them: texts, empty where the host's own holds. */
export type NumberKey = 'interval_s' | 'cpu_limit' | 'recorder_mib' | 'recorder_hours'
export type SettingFields = Record<NumberKey | 'monitor_dirs', string>

/** What a form lets through; the server decides. */
export const settingLimits: readonly { key: NumberKey; max: number }[] = [
  { key: 'interval_s', max: 86_400 },
  { key: 'cpu_limit', max: 100 },
  { key: 'recorder_mib', max: 1_048_576 },
  { key: 'recorder_hours', max: 8760 },
]

export function fieldsOf(s: GroupSettings | null | undefined): SettingFields {
  const text = (n: number | null | undefined): string => (n === null || n === undefined ? '' : String(n))
  return {
    interval_s: text(s?.interval_s),
    cpu_limit: text(s?.cpu_limit),
    recorder_mib: text(s?.recorder_mib),
    recorder_hours: text(s?.recorder_hours),
    monitor_dirs: (s?.monitor_dirs ?? []).join('\n'),
  }
}

/** The settings that a form's fields mean; what is empty is absent. */
export function changeOf(f: SettingFields): GroupSettings {
  const out: GroupSettings = {}
  for (const { key } of settingLimits) {
    const text = f[key].trim()
    if (text !== '' && Number.isFinite(Number(text))) out[key] = Number(text)
  }
  const dirs = f.monitor_dirs.split('\n').map((d) => d.trim()).filter((d) => d !== '')
  if (dirs.length > 0) out.monitor_dirs = dirs
  return out
}
