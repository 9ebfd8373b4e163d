import { close } from '../ffi.ts'
import type { Memory } from '../memory.ts'
import { type BpfCalls, MAP_FLAG, MAP_TYPE } from './bpf-calls.ts'
import { ALLOCATION, CHANNEL, KEY_BYTES, LEASE, PERMISSION, SCRATCH } from './layout.ts'
import { MappedArray } from './mapped-array.ts'

/** Entries that the maps have room for. */
export interface MapSizes {
  readonly allocations: number
  readonly permissions: number
  readonly channels: number
}

/** Relayed addresses of an allocation: one of each family. */
const RELAYS_PER_ALLOCATION = 2
const INDEX_BYTES = 4

/** The hash maps, by their names in the program. */
export type HashName = 'by_client' | 'by_relay' | 'by_peer' | 'by_number' | 'by_pair'

/** The maps that the program and the relay share. */
export class Maps {
  readonly lease: MappedArray
  readonly allocations: MappedArray
  readonly permissions: MappedArray
  readonly channels: MappedArray
  /** By the program's names. */
  readonly descriptors: Readonly<Record<string, number>>
  readonly #memory: Memory
  readonly #calls: BpfCalls

  constructor(memory: Memory, calls: BpfCalls, sizes: MapSizes) {
    this.#memory = memory
    this.#calls = calls
    const descriptors: Record<string, number> = {}
    this.descriptors = descriptors
    const array = (name: string, entries: number, valueBytes: number): MappedArray => {
      const flags = MAP_FLAG.mappable
      const options = { name, type: MAP_TYPE.array, keyBytes: INDEX_BYTES, valueBytes, entries, flags }
      descriptors[name] = calls.createMap(options)
      return new MappedArray(descriptors[name], entries, valueBytes)
    }
    const hash = (name: HashName, entries: number, keyBytes: number): void => {
      const flags = MAP_FLAG.noPreallocation
      const options = { name, type: MAP_TYPE.hash, keyBytes, valueBytes: INDEX_BYTES, entries, flags }
      descriptors[name] = calls.createMap(options)
    }
    try {
      this.lease = array('leases', 1, LEASE.bytes)
      this.allocations = array('allocations', sizes.allocations, ALLOCATION.bytes)
      this.permissions = array('permissions', sizes.permissions, PERMISSION.bytes)
      this.channels = array('channels', sizes.channels, CHANNEL.bytes)
      hash('by_client', sizes.allocations, KEY_BYTES.client)
      hash('by_relay', sizes.allocations * RELAYS_PER_ALLOCATION, KEY_BYTES.relay)
      hash('by_peer', sizes.permissions, KEY_BYTES.peer)
      hash('by_number', sizes.channels, KEY_BYTES.number)
      hash('by_pair', sizes.channels, KEY_BYTES.pair)
      descriptors.scratches = calls.createMap({
        name: 'scratches',
        type: MAP_TYPE.perCpuArray,
        keyBytes: INDEX_BYTES,
        valueBytes: SCRATCH.bytes,
        entries: 1,
        flags: 0,
      })
    } catch (error) {
      this.close()
      throw error
    }
  }

  /** Lets a key lead to an entry; false where the map is full. */
  point(map: HashName, key: Uint8Array, index: number): boolean {
    this.#memory.bytes.set(key, this.#calls.key)
    this.#memory.u32[this.#calls.value >> 2] = index
    return this.#calls.update(this.descriptors[map]!)
  }

  remove(map: HashName, key: Uint8Array): void {
    this.#memory.bytes.set(key, this.#calls.key)
    this.#calls.remove(this.descriptors[map]!)
  }

  close(): void {
    for (const descriptor of Object.values(this.descriptors)) close(descriptor)
  }
}
