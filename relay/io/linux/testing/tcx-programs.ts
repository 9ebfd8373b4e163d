import { arch } from 'node:process'
import koffi from 'koffi'
import { systemError } from '../ffi.ts'

const SYSCALL_NUMBER = arch === 'x64' ? 321 : 280
const PROGRAM_QUERY = 16
const TCX_INGRESS = 46
const ATTRIBUTES_BYTES = 64

const syscall: (number: number, command: number, attributes: Uint8Array, size: number) => number = koffi
  .load(null)
  .func('long syscall(long, int, _Inout_ uint8_t *, uint32_t)')

/** How many programs are attached by TCX to the ingress of an interface of this thread's network namespace. */
export function tcxPrograms(interfaceIndex: number): number {
  const attributes = new Uint8Array(ATTRIBUTES_BYTES)
  const view = new DataView(attributes.buffer)
  view.setUint32(0, interfaceIndex, true)
  view.setUint32(4, TCX_INGRESS, true)
  if (syscall(SYSCALL_NUMBER, PROGRAM_QUERY, attributes, ATTRIBUTES_BYTES) < 0)
    throw systemError('BPF_PROG_QUERY')
  return view.getUint32(24, true)
}
