import type { FetchProgress } from '../wire/internal.ts'

/** `1.2 of 6.9 GB of the model are there; about 40 s remain.` */
export function fetchSentence({ bytesDone, bytesTotal, secondsRemaining }: FetchProgress): string {
  const unit = bytesTotal >= 1e9 ? { bytes: 1e9, name: 'GB' } : { bytes: 1e6, name: 'MB' }
  const [done, total] = [bytesDone, bytesTotal].map((bytes) => (bytes / unit.bytes).toFixed(1))
  const rest =
    secondsRemaining === null ? 'nothing comes now' : `about ${secondsRemaining} s remain`
  return `${done} of ${total} ${unit.name} of the model are there; ${rest}.`
}
