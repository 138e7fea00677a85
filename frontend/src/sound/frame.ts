// The wire form of a chunk of sound, protocol 1: 20 bytes of header, little-endian, then payload.

const MAGIC = 0x43;
const VERSION = 1;
export const HEADER_BYTES = 20;

const SILENT = 1;
const MUTED = 2;
const LAST = 4;

export interface Chunk {
  seq: number;
  /** Since the track was opened, on the device's own clock. */
  startMs: number;
  durationMs: number;
  /** In -dBFS, 0 (full scale) to 127. */
  peak: number;
  rms: number;
  silent: boolean;
  muted: boolean;
  last: boolean;
  /** Empty when silent. Opus: `joinPackets`; PCM16: little-endian samples. */
  payload: Uint8Array;
}

export function encodeChunk(chunk: Chunk): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(HEADER_BYTES + chunk.payload.length);
  const view = new DataView(bytes.buffer);
  const flags = (chunk.silent ? SILENT : 0) | (chunk.muted ? MUTED : 0) | (chunk.last ? LAST : 0);
  view.setUint8(0, MAGIC);
  view.setUint8(1, VERSION);
  view.setUint16(2, flags, true);
  view.setUint32(4, chunk.seq, true);
  view.setBigUint64(8, BigInt(chunk.startMs), true);
  view.setUint16(16, chunk.durationMs, true);
  view.setUint8(18, chunk.peak);
  view.setUint8(19, chunk.rms);
  bytes.set(chunk.payload, HEADER_BYTES);
  return bytes;
}

/** Throws RangeError when `bytes` is no chunk of this protocol. */
export function decodeChunk(bytes: Uint8Array): Chunk {
  if (bytes.length < HEADER_BYTES || bytes[0] !== MAGIC || bytes[1] !== VERSION) {
    throw new RangeError("not a chunk of sound");
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const flags = view.getUint16(2, true);
  return {
    seq: view.getUint32(4, true),
    startMs: Number(view.getBigUint64(8, true)),
    durationMs: view.getUint16(16, true),
    peak: view.getUint8(18),
    rms: view.getUint8(19),
    silent: (flags & SILENT) !== 0,
    muted: (flags & MUTED) !== 0,
    last: (flags & LAST) !== 0,
    payload: bytes.subarray(HEADER_BYTES),
  };
}

/** Opus packets in one payload, each behind its length (16 bits). */
export function joinPackets(packets: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(packets.reduce((sum, packet) => sum + 2 + packet.length, 0));
  const view = new DataView(joined.buffer);
  let at = 0;
  for (const packet of packets) {
    view.setUint16(at, packet.length, true);
    joined.set(packet, at + 2);
    at += 2 + packet.length;
  }
  return joined;
}

/** Throws RangeError when a length points past the end. */
export function splitPackets(payload: Uint8Array): Uint8Array[] {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  const packets: Uint8Array[] = [];
  for (let at = 0; at < payload.length; ) {
    const length = view.getUint16(at, true);
    if (at + 2 + length > payload.length) throw new RangeError("a packet is cut off");
    packets.push(payload.subarray(at + 2, at + 2 + length));
    at += 2 + length;
  }
  return packets;
}
