"""The version, where both the package and its build find it without importing RecBole."""

VERSION = "0.1.0"
