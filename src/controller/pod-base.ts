import { podPaths } from '../shared/domain/pod-contract.ts'
import { internalAudience, serviceAccounts, taints } from '../shared/names.ts'
import { SCRATCH_SIZE, TOKEN_SECONDS } from './limits.ts'
import type { Volume, VolumeMount } from './packs.ts'
import type { ControllerSettings } from './settings.ts'

/** User and group of the inference image. */
const USER_ID = 65532

/** What all pods of ours have in common, whoever makes them. */
export function podBase({ nodeSelector }: Pick<ControllerSettings, 'nodeSelector'>) {
  return {
    serviceAccountName: serviceAccounts.job,
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    ...(Object.keys(nodeSelector).length === 0 ? {} : { nodeSelector }),
    tolerations: Object.values(taints).map((key) => ({ key, operator: 'Exists' })),
    securityContext: {
      runAsNonRoot: true,
      runAsUser: USER_ID,
      runAsGroup: USER_ID,
      fsGroup: USER_ID,
      // A cache of packs has many files: only a new one is handed over file by file.
      fsGroupChangePolicy: 'OnRootMismatch',
      seccompProfile: { type: 'RuntimeDefault' },
    },
  }
}

/** The token for the api's internal port, and room for files. */
export const baseVolumes: readonly Volume[] = [
  { name: 'token', projected: { sources: [{ serviceAccountToken: tokenSource() }] } },
  { name: 'scratch', emptyDir: { sizeLimit: SCRATCH_SIZE } },
]

function tokenSource() {
  const path = podPaths.tokenFile.slice(podPaths.tokenFolder.length + 1)
  return { audience: internalAudience, expirationSeconds: TOKEN_SECONDS, path }
}

export const tokenMount: VolumeMount = {
  name: 'token',
  mountPath: podPaths.tokenFolder,
  readOnly: true,
}

export const baseMounts: readonly VolumeMount[] = [
  tokenMount,
  { name: 'scratch', mountPath: podPaths.scratch },
]
