package front

// CredentialJSON and ChallengeOf are for the tests that feed them anything.
var (
	CredentialJSON = credentialJSON
	ChallengeOf    = challengeOf
)
