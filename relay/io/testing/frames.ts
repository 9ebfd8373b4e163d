import type { Duplex } from 'node:stream'

/** A Binding request: the smallest STUN message. */
export function bindingRequest(transaction = 1): Buffer {
  const message = Buffer.alloc(20)
  message.writeUInt16BE(0x0001, 0)
  message.writeUInt32BE(0x2112a442, 4)
  message.writeUInt32BE(transaction, 16)
  return message
}

/** ChannelData as it is on a stream: padded to four bytes. */
export function channelData(channel: number, payload: Uint8Array): Buffer {
  const frame = Buffer.alloc(4 + Math.ceil(payload.length / 4) * 4)
  frame.writeUInt16BE(channel, 0)
  frame.writeUInt16BE(payload.length, 2)
  frame.set(payload, 4)
  return frame
}

/** The first `length` bytes that come; rejects when the stream ends before. */
export function readBytes(stream: Duplex, length: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let missing = length
    const settle = (end: () => void) => {
      stream.off('readable', look)
      stream.off('close', fail)
      end()
    }
    const fail = () => settle(() => reject(new Error(`the stream ended ${missing} bytes early`)))
    const look = () => {
      for (let chunk = stream.read() as Buffer | null; chunk; chunk = stream.read() as Buffer | null) {
        chunks.push(chunk.subarray(0, missing))
        if (chunk.length > missing) stream.unshift(chunk.subarray(missing))
        missing -= Math.min(missing, chunk.length)
        if (missing === 0) {
          settle(() => resolve(Buffer.concat(chunks)))
          return
        }
      }
    }
    stream.on('readable', look)
    stream.on('close', fail)
    look()
    if (stream.destroyed && missing > 0) fail()
  })
}
