import { type FSWatcher, realpathSync, statSync, watch } from 'node:fs'
import { dirname } from 'node:path'

/** Events come in bursts (a file is written in pieces, links are swapped one by one): one look after each. */
const SETTLE_MS = 100
/** Events can get lost (network file systems, links that point elsewhere): a look now and then. */
const POLL_MS = 3_000
/** The signature of a file that was not looked at yet. */
const UNKNOWN = ''

/**
 * Tells when one of a set of files has changed, by event and by a slow poll. It watches their folders, so
 * that it sees files that are replaced, appear later, or are links that Kubernetes swaps (`..data`).
 */
export class FileWatch {
  readonly #changed: () => void
  readonly #folders = new Map<string, FSWatcher>()
  readonly #poll: NodeJS.Timeout
  /** What was last seen of each file. */
  #seen = new Map<string, string>()
  #settling: NodeJS.Timeout | undefined

  constructor(changed: () => void, pollMs = POLL_MS) {
    this.#changed = changed
    this.#poll = setInterval(() => this.#look(), pollMs)
    this.#poll.unref()
  }

  /** Replaces the set. A file that is new to it may have changed since it was read, and counts as changed once. */
  setFiles(files: readonly string[]): void {
    if (files.some((file) => !this.#seen.has(file))) this.#settle()
    this.#seen = new Map(files.map((file) => [file, this.#seen.get(file) ?? UNKNOWN]))
    const wanted = new Set(files.map((file) => dirname(file)))
    for (const [folder, watcher] of this.#folders) {
      if (wanted.has(folder)) continue
      watcher.close()
      this.#folders.delete(folder)
    }
    for (const folder of wanted) this.#watchFolder(folder)
  }

  close(): void {
    clearInterval(this.#poll)
    clearTimeout(this.#settling)
    for (const watcher of this.#folders.values()) watcher.close()
    this.#folders.clear()
  }

  #watchFolder(folder: string): void {
    if (this.#folders.has(folder)) return
    try {
      const watcher = watch(folder, { persistent: false }, () => this.#settle())
      watcher.on('error', () => {
        watcher.close()
        this.#folders.delete(folder)
      })
      this.#folders.set(folder, watcher)
    } catch {
      // No such folder, or no watches left on this host: the poll sees the change.
    }
  }

  #settle(): void {
    clearTimeout(this.#settling)
    this.#settling = setTimeout(() => this.#look(), SETTLE_MS)
    this.#settling.unref()
  }

  #look(): void {
    let changed = false
    for (const [file, seen] of this.#seen) {
      const signature = signatureOf(file)
      if (signature === seen) continue
      this.#seen.set(file, signature)
      changed = true
    }
    if (changed) this.#changed()
  }
}

/** What changes when a file's content may have. */
function signatureOf(file: string): string {
  try {
    const { ino, size, mtimeMs, ctimeMs } = statSync(file)
    return [realpathSync(file), ino, size, mtimeMs, ctimeMs].join(':')
  } catch {
    return 'absent'
  }
}
