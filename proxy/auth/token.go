package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"time"
)

const (
	// version is the only version of tokens.
	version = "v2"

	// window is how far the clocks of client and server may be apart, either way. It is part
	// of the protocol.
	window = 30 * time.Second
)

// issue returns the value of the authorization metadata for a call made now.
func issue(secret string, now time.Time) string {
	message := strconv.FormatInt(now.Unix(), 10)
	return "Bearer " + version + "." + hex.EncodeToString(sign(secret, message)) + "." + message
}

// verify checks the value of the authorization metadata.
func verify(secret, authorization string, now time.Time) *failure {
	scheme, token, found := strings.Cut(authorization, " ")
	if !found || !strings.EqualFold(scheme, "bearer") {
		return missing()
	}
	parts := strings.SplitN(token, ".", 3)
	if len(parts) != 3 {
		return missing()
	}
	signature, err := hex.DecodeString(parts[1])
	if err != nil {
		return missing()
	}
	if parts[0] != version {
		return denied("invalid token version", "")
	}
	if !hmac.Equal(signature, sign(secret, parts[2])) {
		return denied("wrong hmac signature", "")
	}
	return verifyTime(parts[2], now)
}

// timeOf returns the time of an authorization, which is behind its last point.
func timeOf(authorization string) string {
	return authorization[strings.LastIndexByte(authorization, '.')+1:]
}

// verifyTime checks a time that is known to come from somebody who knows the token.
func verifyTime(message string, now time.Time) *failure {
	seconds, err := strconv.ParseInt(message, 10, 64)
	if err != nil {
		return denied("cannot parse timestamp", ": "+err.Error())
	}
	// Seconds are compared, not times: a time of the farthest past or future would overflow.
	oldest, newest := now.Add(-window), now.Add(window).Unix()
	switch {
	case seconds < oldest.Unix(), seconds == oldest.Unix() && oldest.Nanosecond() > 0:
		return denied("token has expired", "")
	case seconds > newest:
		return denied("token's validity window is in future", "")
	}
	return nil
}

// sign returns the signature of a message.
func sign(secret, message string) []byte {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(message))
	return mac.Sum(nil)
}
