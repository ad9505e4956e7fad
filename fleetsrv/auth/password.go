package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
)

// The cost of a password's hash: 19 MiB and two passes, which takes some 30
// ms; changing it leaves older hashes readable, for each names its own cost.
const (
	argonMemory  = 19 * 1024 // KiB
	argonTime    = 2
	argonThreads = 1
	argonKey     = 32
)

// MinPassword and MaxPassword bound a password's length in characters and bytes.
const (
	MinPassword = 10
	MaxPassword = 1024
)

// hashing bounds how many hashes are computed at once: a flood of logins must
// not take the machine's memory.
var hashing = make(chan struct{}, 2)

// CheckPassword refuses a new password that is too weak.
func CheckPassword(name, password string) error {
	switch {
	case utf8.RuneCountInString(password) < MinPassword:
		return fmt.Errorf("the password is too short: use at least %d characters", MinPassword)
	case len(password) > MaxPassword:
		return fmt.Errorf("the password is too long: use at most %d bytes", MaxPassword)
	case strings.EqualFold(password, name):
		return fmt.Errorf("the password is the user's name: choose another")
	}
	return nil
}

// HashPassword makes the text that is kept of a password.
func HashPassword(password string) (string, error) {
	salt := make([]byte, 16)
	if _, err := rand.Read(salt); err != nil {
		return "", fmt.Errorf("make a salt: %w", err)
	}
	hashing <- struct{}{}
	defer func() { <-hashing }()
	key := argon2.IDKey([]byte(password), salt, argonTime, argonMemory, argonThreads, argonKey)
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemory, argonTime, argonThreads,
		b64.EncodeToString(salt), b64.EncodeToString(key)), nil
}

// nobody is compared where no such user exists, so that the answer takes as
// long; no password has this hash.
const nobody = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

// VerifyPassword compares a password with what is kept; an empty hash stands
// for a user that is not there and never matches.
func VerifyPassword(hash, password string) bool {
	if hash == "" {
		hash = nobody
	}
	if len(password) > MaxPassword {
		return false
	}
	var version int
	var memory, passes uint32
	var threads uint8
	parts := strings.Split(hash, "$")
	if len(parts) != 6 || parts[1] != "argon2id" {
		return false
	}
	if _, err := fmt.Sscanf(parts[2], "v=%d", &version); err != nil || version != argon2.Version {
		return false
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &memory, &passes, &threads); err != nil || passes < 1 || threads < 1 || memory > 1<<20 {
		return false
	}
	salt, err := base64.RawStdEncoding.DecodeString(parts[4])
	if err != nil {
		return false
	}
	want, err := base64.RawStdEncoding.DecodeString(parts[5])
	if err != nil || len(want) == 0 {
		return false
	}
	hashing <- struct{}{}
	defer func() { <-hashing }()
	got := argon2.IDKey([]byte(password), salt, passes, memory, threads, uint32(len(want)))
	return subtle.ConstantTimeCompare(got, want) == 1
}

// TokenPrefix begins every API token, so that a leaked one can be recognized.
const TokenPrefix = "edr_"

// Secret makes a random text of 256 bits.
func Secret() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails; it ends the process where it would
	return base64.RawURLEncoding.EncodeToString(b)
}

// ID makes a random identifier that gives nothing away.
func ID(prefix string) string {
	b := make([]byte, 12)
	_, _ = rand.Read(b) // as above
	return prefix + base64.RawURLEncoding.EncodeToString(b)
}

// Hash is what is kept of a secret that Secret made: it has 256 random bits,
// so that no slow hash is needed.
func Hash(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}

// Equal compares two secrets in a time that does not depend on them.
func Equal(a, b string) bool {
	return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1
}
