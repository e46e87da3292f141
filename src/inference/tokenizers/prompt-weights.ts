export type WeightedText = { readonly text: string; readonly weight: number }

const brackets = [
  { open: '(', close: ')', weight: 1.1 },
  { open: '[', close: ']', weight: 1 / 1.1 },
] as const
type Bracket = (typeof brackets)[number]

/** An escaped sign, a weight with its closing bracket, a single sign, or text up to the next one. */
const pieces = /\\([\\()[\]])|:\s*([+-]?(?:\d+\.?\d*|\.\d+))\s*\)|[\\()[\]:]|[^\\()[\]:]+/gu

/**
 * Reads AUTOMATIC1111's attention syntax: `(text)` weighs 1.1, `[text]` 1 / 1.1, `(text:1.5)` 1.5;
 * nested weights are multiplied, a bracket left open reaches to the end, one that nothing opened
 * is text, and `\(` stands for the sign itself. An empty text is one empty part.
 * Reference: the user guide of stable-diffusion-webui, “Attention/emphasis”.
 */
export function parseWeights(text: string): readonly WeightedText[] {
  const parts: { text: string; weight: number }[] = []
  const opened: { readonly bracket: Bracket; readonly from: number }[] = []

  function multiply(from: number, factor: number): void {
    for (const part of parts.slice(from)) part.weight *= factor
  }
  /** Ends the innermost bracket of this kind; false when none is open. */
  function close(kind: Bracket, factor: number): boolean {
    const at = opened.findLastIndex(({ bracket }) => bracket === kind)
    if (at < 0) return false
    const [{ from }] = opened.splice(at, 1)
    multiply(from, factor)
    return true
  }
  function readSign(piece: string): boolean {
    const opening = brackets.find(({ open }) => open === piece)
    if (opening !== undefined) return opened.push({ bracket: opening, from: parts.length }) > 0
    const closing = brackets.find((bracket) => bracket.close === piece)
    return closing !== undefined && close(closing, closing.weight)
  }

  for (const [piece, escaped, weight] of text.matchAll(pieces)) {
    if (weight !== undefined && close(brackets[0], Number(weight))) continue
    if (readSign(piece)) continue
    // A backslash before nothing that needs one disappears, as it does there.
    parts.push({ text: escaped ?? (piece === '\\' ? '' : piece), weight: 1 })
  }
  for (const { bracket, from } of opened) multiply(from, bracket.weight)
  return joinEqual(parts)
}

/** Neighbours of one weight become one text, so that words are not cut at an escaped sign. */
function joinEqual(parts: readonly WeightedText[]): readonly WeightedText[] {
  const joined: WeightedText[] = []
  for (const part of parts) {
    const last = joined.at(-1)
    if (last?.weight !== part.weight) joined.push(part)
    else joined[joined.length - 1] = { text: last.text + part.text, weight: part.weight }
  }
  return joined.length === 0 ? [{ text: '', weight: 1 }] : joined
}
