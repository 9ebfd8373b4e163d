import { mkdirSync, readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import type { RevocationList } from '../../relay/api/revocations.ts'
import type { ClusterKey } from '../controller/contract.ts'
import { HttpError } from '../http/http-error.ts'
import type { RevocationStore } from '../http/revocation-routes.ts'
import { parseRevocations, revocationsText } from '../specs/revocations.ts'
import { isErrorWithCode, type StateDirectory, writeAtomically } from './state-directory.ts'

/** Keeps revocations in a file of the state directory, which the relays of the cluster watch. */
export class RevocationFiles implements RevocationStore {
  readonly #state: StateDirectory

  constructor(state: StateDirectory) {
    this.#state = state
  }

  /** The file of a cluster, in a folder that is there: relays can watch it before there is a file. */
  path(key: ClusterKey): string {
    const [namespace = '', name = ''] = key.split('/')
    const path = this.#state.revocations(namespace, name)
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    return path
  }

  /** Undefined: the file is malformed. */
  list(key: ClusterKey): RevocationList | undefined {
    return parseRevocations(textOf(this.path(key)))
  }

  async update(key: ClusterKey, change: (list: RevocationList) => RevocationList): Promise<RevocationList> {
    const old = this.list(key)
    if (!old) throw new HttpError(409, 'malformed', `${this.path(key)} is malformed: mend or delete it`)
    const list = change(old)
    writeAtomically(this.path(key), revocationsText(list))
    return list
  }
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (isErrorWithCode(error, 'ENOENT')) return undefined
    throw error
  }
}
