# For tools that call node-gyp: hands over to cmake. The output named here never exists, so it runs every time.
{
  'targets': [
    {
      'target_name': 'neural_lsh',
      'type': 'none',
      'actions': [
        {
          'action_name': 'cmake',
          'inputs': ['CMakeLists.txt'],
          'outputs': ['<(INTERMEDIATE_DIR)/cmake.always'],
          'action': ['node', 'scripts/build.mjs', '<(CONFIGURATION_NAME)']
        }
      ]
    }
  ]
}
