/**
 * GPT-2's visible stand-ins for the 256 bytes: printable Latin-1 characters stand for
 * themselves, all others are shifted to 256 and up, in order.
 */
export function byteAlphabet(): readonly string[] {
  let next = 256
  return Array.from({ length: 256 }, (_, byte) =>
    String.fromCodePoint(isPrintable(byte) ? byte : next++),
  )
}

function isPrintable(byte: number): boolean {
  return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174
}
