/** The forms of a model file's sources. */
import { describe, expect, it } from 'vitest'
import { isModelSource, parseSource, sourceOrigins } from '#shared/job/model-source.ts'

describe('a source of a model file', () => {
  it('is a path in the repository or in a package, an address on the model hub, or any https address', () => {
    const path = 'models/m/onnx/model.onnx'
    expect(parseSource(path)).toEqual({ kind: 'repository', path })
    const inPackage = { kind: 'package', path: '@scope/pkg/a.onnx' }
    expect(parseSource('npm:@scope/pkg/a.onnx')).toEqual(inPackage)
    expect(parseSource('hf:acme/tiny@3f2a/onnx/model q4.onnx', 'http://127.0.0.1:9')).toEqual({
      kind: 'url',
      url: 'http://127.0.0.1:9/acme/tiny/resolve/3f2a/onnx/model%20q4.onnx',
    })
    expect(parseSource('https://files.example/m.onnx')).toMatchObject({ kind: 'url' })
  })

  it.each([
    'models/../secrets.json',
    'models//m.onnx',
    'models/./m.onnx',
    'models/m\\..\\..\\x',
    'npm:../../etc/passwd',
    'npm:pkg/../../etc/passwd',
    'npm:pkg',
    'hf:acme/tiny@main/../../x',
    'hf:../tiny@main/x',
    'hf:acme/tiny/x',
    'http://files.example/m.onnx',
    'https://user:secret@files.example/m.onnx',
    'file:///etc/passwd',
    '/etc/passwd',
    '',
  ])('is not "%s"', (source) => {
    expect(isModelSource(source)).toBe(false)
  })

  it('tells which origins a tab must be allowed to fetch from', () => {
    expect(
      sourceOrigins(['models/a/b', 'npm:x/y', 'hf:a/b@main/c', 'https://files.example/m.onnx']),
    ).toEqual(['https://*.hf.co', 'https://files.example', 'https://huggingface.co'])
  })
})
