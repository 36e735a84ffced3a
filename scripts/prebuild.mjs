// Packs build/Release/neural_lsh.node, stripped, into prebuilds/<platform>-<architecture>/ of the current folder, where
// node-gyp-build finds it. One binary serves all versions of Node and one C library.
import prebuildify from 'prebuildify'

const options = { napi: true, strip: true, tagLibc: true, nodeGyp: 'node scripts/build.mjs', shell: true }

prebuildify(options, (error) => {
  if (error) throw error
})
