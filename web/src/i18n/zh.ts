import type { en } from './en'
export const zh: Partial<Record<keyof typeof en, string>> = {}
