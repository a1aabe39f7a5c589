"""Routes that the app's own server answers beside Streamlit's."""
