import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** With these the node agent serves the kubelet's port to kube-apiserver and to nobody else. */
export const kubeletFiles = {
  certificate: 'kubelet.crt',
  key: 'kubelet.key',
  authority: 'kubelet-ca.crt',
} as const

/**
 * Their folder: in a cluster of ours they lie beside the administrator's kubeconfig. Undefined
 * for other clusters, whose kube-apiserver trusts nobody of us.
 */
export function kubeletFolderOf(adminKubeconfig: string): string | undefined {
  const folder = dirname(adminKubeconfig)
  return existsSync(join(folder, kubeletFiles.authority)) ? folder : undefined
}
