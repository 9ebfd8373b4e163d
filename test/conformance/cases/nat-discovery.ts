import { randomBytes } from 'node:crypto'
import dgram from 'node:dgram'
import { once } from 'node:events'
import { isIPv6 } from 'node:net'
import { ATTRIBUTE } from '../../../relay/stun/attribute-types.ts'
import { ERROR } from '../../../relay/stun/error-codes.ts'
import { CLASS, METHOD } from '../../../relay/stun/methods.ts'
import {
  attributeOf,
  codeOf,
  decode,
  type Endpoint,
  encode,
  plainAddressOf,
  uint32,
} from '../../support/stun-message.ts'
import { Broken, type ConformanceCase, NotTested } from '../case.ts'
import { expect, expectCode, expectSuccess, sameEndpoint, type Trial, text } from '../trial.ts'

const PADDING = 0x0026
const RESPONSE_PORT = 0x0027
const RESPONSE_ORIGIN = 0x802b
const OTHER_ADDRESS = 0x802c
const CHANGE_IP = 4
const CHANGE_PORT = 2
const ANSWER_MS = 1500

/** NAT behaviour discovery: RFC 5780 §7. */
export const NAT_DISCOVERY: readonly ConformanceCase[] = [
  {
    id: 'nat/change-request-refused',
    section: 'RFC 8489 §6.3.1',
    level: 'MUST',
    rule: 'A server without OTHER-ADDRESS answers CHANGE-REQUEST with 420.',
    over: ['udp'],
    async run(trial) {
      const client = await trial.client()
      const plain = await client.ask(METHOD.Binding)
      if (plainAddressOf(plain, OTHER_ADDRESS)) throw new NotTested('the server has another address')
      const answer = await client.ask(METHOD.Binding, [[ATTRIBUTE.ChangeRequest, uint32(CHANGE_PORT)]])
      const code = expectCode(answer, ERROR.UnknownAttribute)
      const listed = attributeOf(answer, ATTRIBUTE.UnknownAttributes)
      expect(listed?.readUInt16BE(0) === ATTRIBUTE.ChangeRequest, `${code} without its type`)
      return code
    },
  },
  {
    id: 'nat/response-origin',
    section: 'RFC 5780 §7.3',
    level: 'MUST',
    rule: 'RESPONSE-ORIGIN names the address that the response comes from.',
    over: ['udp'],
    async run(trial) {
      await otherAddress(trial)
      const { from, message } = await probe(trial, [])
      const origin = plainAddressOf(message, RESPONSE_ORIGIN)
      expect(sameEndpoint(origin, from), origin ? text(origin) : 'no RESPONSE-ORIGIN')
      return 'the source of the response'
    },
  },
  ...(
    [
      ['address', CHANGE_IP],
      ['port', CHANGE_PORT],
      ['address-and-port', CHANGE_IP | CHANGE_PORT],
    ] as const
  ).map(
    ([name, flags]): ConformanceCase => ({
      id: `nat/change-${name}`,
      section: 'RFC 5780 §7.2',
      level: 'MUST',
      rule: `CHANGE-REQUEST for another ${name.replaceAll('-', ' ')} is answered from there.`,
      over: ['udp'],
      async run(trial) {
        const other = await otherAddress(trial)
        const server = trial.natServer
        const wanted = {
          ip: flags & CHANGE_IP ? other.ip : server.ip,
          port: flags & CHANGE_PORT ? other.port : server.port,
        }
        const { from } = await probe(trial, [[ATTRIBUTE.ChangeRequest, uint32(flags)]])
        expect(sameEndpoint(from, wanted), `from ${text(from)}, not ${text(wanted)}`)
        return 'from there'
      },
    }),
  ),
  {
    id: 'nat/response-port',
    section: 'RFC 5780 §7.5',
    level: 'MUST',
    rule: 'RESPONSE-PORT sends the response to that port, where the server supports it.',
    over: ['udp'],
    async run(trial) {
      await otherAddress(trial)
      const listener = await bind(trial)
      const { port } = listener.address()
      const value = Buffer.alloc(4)
      value.writeUInt16BE(port, 0)
      const client = await trial.natClient()
      const request = encode({
        method: METHOD.Binding,
        class: CLASS.Request,
        attributes: [[RESPONSE_PORT, value]],
      })
      const heard = hear(listener, request.subarray(8, 20))
      const refused = client.tryExchange(request, ANSWER_MS)
      const [there, here] = await Promise.all([heard, refused])
      if (here && codeOf(here) === ERROR.UnknownAttribute) throw new NotTested('420: no RESPONSE-PORT')
      expect(there !== undefined, here ? 'an answer to the source' : 'no answer')
      return 'an answer to that port'
    },
  },
  {
    id: 'nat/padding',
    section: 'RFC 5780 §7.6',
    level: 'MUST',
    rule: 'PADDING is answered with PADDING, where the server supports it.',
    over: ['udp'],
    async run(trial) {
      await otherAddress(trial)
      const answer = await (await trial.natClient()).ask(METHOD.Binding, [[PADDING, Buffer.alloc(1024)]])
      if (codeOf(answer) === ERROR.UnknownAttribute) throw new NotTested('420: no PADDING')
      expectSuccess(answer)
      const bytes = attributeOf(answer, PADDING)?.length ?? 0
      expect(bytes > 0, 'a success without PADDING')
      return `PADDING of ${bytes} bytes`
    },
  },
]

async function otherAddress(trial: Trial): Promise<Endpoint> {
  const answer = await (await trial.natClient()).ask(METHOD.Binding)
  const other = plainAddressOf(answer, OTHER_ADDRESS)
  if (!other) throw new NotTested('no OTHER-ADDRESS: NAT discovery is off')
  return other
}

/** Sends a Binding from a socket that takes answers from anywhere. */
async function probe(trial: Trial, attributes: readonly (readonly [number, Uint8Array])[]) {
  const socket = await bind(trial)
  const request = encode({ method: METHOD.Binding, class: CLASS.Request, id: randomBytes(12), attributes })
  const heard = hear(socket, request.subarray(8, 20))
  const server = trial.natServer
  socket.send(request, server.port, server.ip)
  const answer = await heard
  if (!answer) throw new Broken('no answer')
  const message = decode(answer.bytes)
  if (!message) throw new Broken('an answer that is no STUN message')
  return { from: answer.from, message }
}

async function bind(trial: Trial): Promise<dgram.Socket> {
  const socket = dgram.createSocket(isIPv6(trial.target.server.ip) ? 'udp6' : 'udp4')
  trial.later(() => void socket.close())
  socket.bind(0)
  await once(socket, 'listening')
  return socket
}

function hear(socket: dgram.Socket, id: Uint8Array): Promise<{ from: Endpoint; bytes: Buffer } | undefined> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ANSWER_MS, undefined)
    socket.on('message', (bytes, { address, port }) => {
      if (!bytes.subarray(8, 20).equals(id)) return
      clearTimeout(timer)
      resolve({ from: { ip: address, port }, bytes })
    })
  })
}
