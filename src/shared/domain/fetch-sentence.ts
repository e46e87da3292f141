import type { FetchProgress } from '../wire/internal.ts'

/** `1.2 of 6.9 GB of the model are there; about 40 s remain.` */
export function fetchSentence({ bytesDone, bytesTotal, secondsRemaining }: FetchProgress): string {
  const done = (bytesDone / unitOf(bytesTotal).bytes).toFixed(1)
  const rest =
    secondsRemaining === null ? 'nothing comes now' : `about ${secondsRemaining} s remain`
  return `${done} of ${packSize(bytesTotal)} of the model are there; ${rest}.`
}

/** `6.9 GB`, or MB of what is smaller. */
export function packSize(bytes: number): string {
  const unit = unitOf(bytes)
  return `${(bytes / unit.bytes).toFixed(1)} ${unit.name}`
}

function unitOf(bytes: number): { readonly bytes: number; readonly name: string } {
  return bytes >= 1e9 ? { bytes: 1e9, name: 'GB' } : { bytes: 1e6, name: 'MB' }
}
