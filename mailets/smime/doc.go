// Package smime signs messages, checks their signatures and decrypts them, as
// S/MIME has it (RFC 8551) over the Cryptographic Message Syntax (CMS, RFC 5652).
//
// What comes from outside is read by code of this package, with bounds on size,
// depth and number: smallstep/pkcs7, which makes our signatures, recurses as deep
// as a hostile message likes, panics on a damaged ciphertext, and knows neither
// subject key identifiers, RSA-PSS, elliptic curve key agreement nor authenticated
// encryption.
//
// The functions are safe for use by several goroutines at once.
package smime
