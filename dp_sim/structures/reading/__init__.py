"""Structure files as other programs write them: read so that nothing they say is lost, or refused."""
