"""The reference part of the book, generated: schema, parameters, columns, catalogue, commands, package."""
