"""The commands, one file each: parse, call the recipe, print."""
