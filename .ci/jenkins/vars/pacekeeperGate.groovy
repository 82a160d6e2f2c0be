// Judges a change request: `pacekeeperGate()` in a stage, with the tracker on the PATH.
//
// As a shared library: this repository with the library path `.ci/jenkins`. Options:
//   policy       policy file; one of the repository is read from the merge base
//   credentials  id of the secret text that holds the store's URL; a fork's change never gets it
// The build fails where the outcome blocks and is unstable for every other outcome but a pass.
def call(Map options = [:]) {
  String policy = options.policy ? "--policy '${options.policy}'" : ''
  Closure judge = {
    sh(returnStatus: true, script: "rm -rf reports && tracker ci gate ${policy}".trim())
  }
  int code
  try {
    if (options.credentials && !env.CHANGE_FORK) {
      code = withCredentials([string(credentialsId: options.credentials, variable: 'PACEKEEPER_DB')]) { judge() }
    } else {
      code = withEnv(["PACEKEEPER_DB=sqlite:///${pwd(tmp: true)}/pacekeeper.db"]) { judge() }
    }
    String outcome = fileExists('reports/outcome') ? readFile('reports/outcome').trim() : 'infrastructure'
    currentBuild.description = "pacekeeper: ${outcome}"
    if (code == 1) {
      error("pacekeeper: ${outcome}")
    } else if (code != 0 || !(outcome in ['pass', 'improvement'])) {
      unstable("pacekeeper: ${outcome}")
    }
  } finally {
    junit testResults: 'reports/gate.xml', allowEmptyResults: true
    archiveArtifacts artifacts: 'reports/*', allowEmptyArchive: true
  }
}

return this
