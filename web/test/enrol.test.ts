import { describe, expect, test } from 'vitest'
import { oneCommand } from '../src/pages/enrol'

const command = 'sudo edr-agent -server 10.0.0.1:8443 -enroll-file token.txt'

describe('the one command', () => {
  test('writes the token to the file that the agent reads', () => {
    expect(oneCommand({ token: 'edr1.abc-_=.def', command })).toBe(`(umask 077; printf '%s\\n' 'edr1.abc-_=.def' > token.txt) && ${command}`)
  })

  test('never puts into a shell what could leave its quotes', () => {
    expect(oneCommand({ token: `x'; rm -rf /; '`, command })).toBe(command)
    expect(oneCommand({ token: 'x', command: 'edr-agent -enroll-file $(id)' })).toBe('edr-agent -enroll-file $(id)')
  })
})
