/** The models that this build knows; their manifests are data, made by `scripts/make-manifests.ts`. */
import embed from '../models/littoral-embed-400k/manifest.json' with { type: 'json' }
import ocr from '../models/pp-ocr-rec/manifest.json' with { type: 'json' }
import { ModelManifest } from './model.ts'

export const MANIFESTS: readonly ModelManifest[] = [embed, ocr].map((manifest) =>
  ModelManifest.parse(manifest),
)
