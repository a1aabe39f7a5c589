import streamlit as st
st.title('encodings'.capitalize())
