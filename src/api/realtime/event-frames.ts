import type { JobStreamEvent } from './job-stream.ts'

/** One server-sent event as text; `id` is the revision of the row. */
export function toFrame(event: JobStreamEvent): string {
  if (event.kind === 'Heartbeat') return ': heartbeat\n\n'
  if (event.kind === 'Job') return frame('job', event.view.revision, event.view)
  const { sequence: _sequence, ...progress } = event.progress
  return frame('progress', event.revision, progress)
}

/** JSON has no line breaks of its own, so that it always fits one `data:` line. */
function frame(name: string, id: number, value: unknown): string {
  return `event: ${name}\nid: ${id}\ndata: ${JSON.stringify(value)}\n\n`
}
