import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import { createObject, deleteObject } from '../../../src/platform/kube/objects.ts'
import type { KubeClient } from '../../../src/platform/kube/client.ts'
import { unlessNotFound } from '../../../src/platform/kube/errors.ts'
import { leases } from '../../../src/platform/kube/resources.ts'
import { annotations, controllerLease, systemNamespace } from '../../../src/shared/names.ts'

export type LeaderQuestion = {
  readonly path: string
  readonly authorization: string | undefined
  readonly body: unknown
}

/** What it sends: an object as JSON with status 200, or whatever the function does. */
export type LeaderReply = Readonly<Record<string, unknown>> | ((response: ServerResponse) => void)

/**
 * Stands in for the controller that leads, because the real one answers well and at once: this one
 * can be slow, refuse, talk nonsense or say what a test needs. The Lease that names it is real.
 */
export type FakeLeader = {
  readonly questions: readonly LeaderQuestion[]
  readonly reply: (reply: (question: LeaderQuestion) => LeaderReply) => void
  /** Makes the Lease name it, or somebody else. */
  readonly lead: (lease?: { readonly address?: string; readonly holder?: string }) => Promise<void>
  /** Takes the Lease away. */
  readonly resign: () => Promise<void>
  readonly close: () => Promise<void>
}

const nobody = (): LeaderReply => ({ jobs: [] })

export async function startFakeLeader(admin: KubeClient): Promise<FakeLeader> {
  const questions: LeaderQuestion[] = []
  let reply: (question: LeaderQuestion) => LeaderReply = nobody
  const server = createServer((request, response) => {
    void answer(request, response)
  })
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { url = '', headers } = request
    const body: unknown = JSON.parse(await text(request))
    const question = { path: url, authorization: headers.authorization, body }
    questions.push(question)
    const given = reply(question)
    if (typeof given === 'function') given(response)
    else response.end(JSON.stringify(given))
  }
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  const bound = server.address()
  const port = typeof bound === 'object' && bound !== null ? bound.port : 0
  const ref = { namespace: systemNamespace, name: controllerLease }
  const resign = async (): Promise<void> => {
    await deleteObject(admin, leases, ref).catch(unlessNotFound)
  }
  return {
    questions,
    reply: (next) => {
      reply = next
    },
    lead: async ({ address = `127.0.0.1:${port}`, holder = 'fake-leader' } = {}) => {
      await resign()
      const metadata = { ...ref, annotations: { [annotations.leaderAddress]: address } }
      await createObject(admin, leases, { metadata, spec: { holderIdentity: holder } })
    },
    resign,
    close: async () => {
      await resign()
      server.closeAllConnections()
      server.close()
    },
  }
}
