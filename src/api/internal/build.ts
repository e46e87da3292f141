import { isNotFound } from '../../platform/kube/errors.ts'
import { getObject } from '../../platform/kube/objects.ts'
import { generationJobs, models } from '../../platform/kube/resources.ts'
import { reviewToken } from '../../platform/kube/tokens.ts'
import { signUrl } from '../../platform/objects/signed-url.ts'
import type { Model } from '../../shared/crd/model.ts'
import { internalAudience } from '../../shared/names.ts'
import { internalPrefix } from '../../shared/wire/internal.ts'
import { podIndex } from '../caches.ts'
import type { CoreParts } from '../core-parts.ts'
import { holdForResource } from '../features/jobs/applied-hold.ts'
import { openPodService } from '../features/jobs/pod-service.ts'
import { openProgressDesk } from '../features/jobs/progress.ts'
import type { AuthoriseDeps } from './authorise.ts'
import { openIdentityReader } from './identity.ts'
import type { InternalParts } from './routes.ts'

/** Builds what the routes of the internal port call. */
export function buildInternal(parts: CoreParts): InternalParts {
  const { kube, clock, urlKey, internalUrl } = parts
  const review = async (token: string) => await reviewToken(kube, token, [internalAudience])
  const findModel = async (name: string) => await readModel(parts, name)
  const base = `${internalUrl}${internalPrefix}/objects`
  const holdDeps = { ...parts, findModel, nowMs: clock.nowMs }
  return {
    ...parts,
    identities: openIdentityReader({ review, clock }),
    authorise: authoriseDeps(parts),
    pods: openPodService({ ...parts, findModel, sign: (grant) => signUrl(base, grant, urlKey) }),
    progress: openProgressDesk(parts),
    hold: async (jobId, request) => await holdForResource(holdDeps, jobId, request),
  }
}

function authoriseDeps({ caches, kube, store }: CoreParts): AuthoriseDeps {
  const jobs = caches.jobs.lister
  return {
    jobsById: jobs.listIndexed,
    jobsByPod: (podUID) => jobs.listIndexed(podIndex(podUID)),
    readJob: async (ref) => await getObject(kube, generationJobs, ref),
    getRow: store.get,
  }
}

/** The cache may be a moment behind a Model that was applied together with a job. */
async function readModel({ caches, kube }: CoreParts, name: string): Promise<Model | null> {
  const cached = caches.models.lister.get(name)
  if (cached !== undefined) return cached
  try {
    return await getObject(kube, models, { name })
  } catch (error) {
    if (isNotFound(error)) return null
    throw error
  }
}
