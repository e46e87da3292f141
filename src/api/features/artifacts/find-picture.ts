import type { Caller } from '../../../shared/domain/caller.ts'
import { canSee } from '../../../shared/domain/permissions.ts'
import type { PictureStore, UploadedPicture } from './picture-store.ts'
import { unknownArtifact } from './views.ts'

/**
 * A picture that the caller may know of. It counts for the quota of who uploaded it, so it stays
 * theirs to read and to delete after they moved to another department. Throws `artifact.not_found`.
 */
export async function findPicture(
  pictures: Pick<PictureStore, 'get'>,
  caller: Caller,
  artifactId: string,
): Promise<UploadedPicture> {
  const picture = await pictures.get(artifactId)
  if (picture === null) throw unknownArtifact(artifactId)
  if (picture.owner.user === caller.userId || canSee(caller, picture.owner)) return picture
  throw unknownArtifact(artifactId)
}
