/** What a try begins with: bytes that an earlier one left, and which version they are of. */
export type PartState = { readonly bytes: number; readonly etag: string | undefined }

/**
 * Asks for what is missing. If-Range makes the server send everything when it has another version
 * by now (RFC 9110, 13.1.5); without a strong tag the digest alone finds that out.
 */
export function resumeHeaders({ bytes, etag }: PartState): Record<string, string> {
  if (bytes === 0) return {}
  const tag = strongTag(etag)
  return { range: `bytes=${bytes}-`, ...(tag !== undefined && { 'if-range': tag }) }
}

export function strongTag(etag: string | null | undefined): string | undefined {
  return etag !== undefined && etag !== null && /^"[!#-~]*"$/.test(etag) ? etag : undefined
}

export type RangeAnswer = {
  readonly status: number
  readonly contentRange: string | null
  readonly contentLength: string | null
  readonly contentEncoding: string | null
}

/**
 * `Append` what comes to what is there. `Replace`: the whole file comes. `Restart`: what is there
 * is of no use; ask again without it. `Refused`: not the file that the manifest means.
 */
export type Verdict =
  | { readonly kind: 'Append' | 'Replace' | 'Restart' }
  | { readonly kind: 'Refused'; readonly problem: string }

/** What a 2xx answer or a 416 means to a try that had `bytes` of `sizeBytes`. */
export function judgeAnswer(
  answer: RangeAnswer,
  { bytes, sizeBytes }: { readonly bytes: number; readonly sizeBytes: number },
): Verdict {
  const { status, contentEncoding } = answer
  if (status === 416) return { kind: 'Restart' }
  if (contentEncoding !== null && contentEncoding !== 'identity') {
    return refused(`comes in the encoding ${contentEncoding}, which was not asked for`)
  }
  if (status === 206) return judgePart(answer.contentRange, { bytes, sizeBytes })
  if (status !== 200) return refused(`was answered with status ${status}`)
  const { contentLength } = answer
  if (contentLength === null || Number(contentLength) === sizeBytes) return { kind: 'Replace' }
  return refused(`has ${contentLength} bytes on the server, the manifest says ${sizeBytes}`)
}

function judgePart(
  contentRange: string | null,
  { bytes, sizeBytes }: { readonly bytes: number; readonly sizeBytes: number },
): Verdict {
  const [, first, last, total] = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(contentRange ?? '') ?? []
  if (total !== undefined && total !== '*' && Number(total) !== sizeBytes) {
    return refused(`has ${total} bytes on the server, the manifest says ${sizeBytes}`)
  }
  const isNext = Number(first) === bytes && Number(last) < sizeBytes
  return { kind: isNext ? 'Append' : 'Restart' }
}

function refused(problem: string): Verdict {
  return { kind: 'Refused', problem }
}
