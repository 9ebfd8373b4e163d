import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'

/** Passes what is written on to a socket one byte a write. */
export function dribble(socket: Socket): Duplex {
  const duplex = new Duplex({
    read: () => undefined,
    write: (chunk: Buffer, _encoding, done) => {
      for (const byte of chunk) socket.write(Buffer.from([byte]))
      done()
    },
  })
  socket.on('data', (data) => duplex.push(data))
  socket.on('close', () => duplex.destroy())
  return duplex
}
