// Package bearer reads the messages of the SASL mechanisms OAUTHBEARER (RFC
// 7628) and XOAUTH2, and verifies the tokens in them: JSON Web Tokens that the
// OpenID Connect provider of <auth><oidc> has signed.
//
// Nothing is asked of the provider at start. Its keys are fetched with the first
// token, kept, fetched again when a token names one that is not among them, and
// in any case from time to time, so that a key that was withdrawn does not count
// for ever. When the provider does not answer, keys that were fetched within a
// day go on to serve; a token that they do not fit is then neither right nor
// wrong.
package bearer
