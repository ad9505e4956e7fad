import { spawn } from 'node:child_process'
import { copyFileSync, chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { once } from 'node:events'

/**
 * A harmless program under a miner's name in a temporary folder, started by a
 * shell that waits for it, as a person would.
 */
export class Miner {
  /** @returns {Promise<Miner>} once the program runs */
  static async start(program, args) {
    const miner = new Miner(program, args)
    const [line] = await once(miner.shell.stdout, 'data')
    miner.pid = Number(String(line).trim())
    return miner
  }

  constructor(program, args) {
    this.dir = mkdtempSync(join(tmpdir(), 'edr-e2e-'))
    /** Names this miner among others in an alert's text. */
    this.folder = basename(this.dir)
    const path = join(this.dir, 'xmrig')
    copyFileSync(program, path)
    chmodSync(path, 0o755)
    // The shell's own output is closed to the program, so that the pid is all there is.
    this.shell = spawn('bash', ['-c', '"$0" "$@" >/dev/null 2>&1 & echo $!; wait', path, ...args], { stdio: ['ignore', 'pipe', 'ignore'] })
    this.ended = once(this.shell, 'exit')
  }

  /** A process that has ended and waits to be collected does not run. */
  running() {
    try {
      const stat = readFileSync(`/proc/${this.pid}/stat`, 'utf8')
      return stat.slice(stat.lastIndexOf(')') + 2)[0] !== 'Z'
    } catch {
      return false
    }
  }

  /** Resolves when the program has ended, which ends the shell's wait. */
  async gone() {
    await this.ended
  }

  async clean() {
    for (const pid of [this.pid, this.shell.pid]) {
      if (this.shell.exitCode !== null || this.shell.signalCode !== null) break
      try {
        process.kill(pid, 'SIGKILL')
      } catch {
        // It has ended by itself.
      }
    }
    await this.ended
    if (existsSync(this.dir)) rmSync(this.dir, { recursive: true })
  }
}
